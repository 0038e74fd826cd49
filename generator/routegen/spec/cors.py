"""Which web pages may call the gateway."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from routegen.spec.base import Model
from routegen.spec.scalars import Duration, show, wrong

_ORIGIN = r"https?://(\*\.)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]{1,5})?"


def _origin(text: str) -> str:
    """``*``, or an origin as browsers write it (RFC 6454, section 6.2), ``*.`` for any name below a domain."""
    if text != "*" and re.fullmatch(_ORIGIN, text) is None:
        raise wrong(
            f'{show(text)} must be an origin such as "https://chat.example.com" or "https://*.example.com", or *'
        )
    return text


def _name(text: str) -> str:
    if text != "*" and re.fullmatch(r"[!#$%&'+.^`|~0-9A-Za-z-]{1,256}", text) is None:
        raise wrong(f"{show(text)} is not a header name, or *")
    return text.lower()


Origin = Annotated[str, AfterValidator(_origin), WithJsonSchema({"title": "origin", "type": "string"})]
CorsHeader = Annotated[str, AfterValidator(_name), WithJsonSchema({"title": "header name or *", "type": "string"})]


class CorsSpec(Model):
    """Which web pages may call the gateway, by the Fetch standard's CORS protocol (target `envoy`)."""

    allow_origins: list[Origin] = Field(min_length=1, description="The pages' origins; `*`: any.")
    allow_headers: list[CorsHeader] = Field(
        ["*", "authorization"],
        min_length=1,
        description="Headers that they may send; `*` is all but `authorization`, and none with credentials.",
    )
    expose_headers: list[CorsHeader] = Field(
        [], description="Headers that they may read, beside the routing header, `x-request-id` and `retry-after`."
    )
    allow_credentials: bool = Field(False, description="`true`: browsers send their cookies and certificates along.")
    max_age: Duration = Field("10m", description="How long a browser needn't ask again.")
