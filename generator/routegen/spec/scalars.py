"""The single values of routes.yaml: what each must look like, and the sentence for what does not.

A value stays the text that stands in the file; :mod:`routegen.compile.units` gives it its meaning.
"""

from __future__ import annotations

import ipaddress
import json
import re
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

PROBLEM: Final = "routegen"
"""The pydantic error type whose message is already a sentence for users."""

_TOKEN = r"[!#$%&'*+.^`|~0-9A-Za-z-]+"  # noqa: S105 - RFC 9110, section 5.6.2, without the underscore
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_HOST = r"[A-Za-z0-9_]([-A-Za-z0-9_]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([-A-Za-z0-9_]*[A-Za-z0-9_])?)*\.?"
_TEXT = r"[^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?"
_SIZE = r"[1-9][0-9]{0,11}(k|M|G|Ki|Mi|Gi)?"
_ESCAPES = re.compile(r"~(?![01])")


def wrong(sentence: str) -> PydanticCustomError:
    """The error to raise in a validator: ``sentence`` is what the user reads after the path."""
    return PydanticCustomError(PROBLEM, "{sentence}", {"sentence": sentence})


def _shaped(pattern: str, sentence: str, longest: int = 253) -> tuple[AfterValidator, WithJsonSchema]:
    """The two halves of a text type: the check with its sentence, and what editors are told."""

    def check(text: str) -> str:
        if len(text) > longest:
            raise wrong(f"is {len(text)} characters long; at most {longest} are possible here")
        if re.fullmatch(pattern, text) is None:
            raise wrong(f"{show(text)} {sentence}")
        return text

    return AfterValidator(check), WithJsonSchema({"type": "string", "pattern": f"^{pattern}$", "maxLength": longest})


def show(value: Any) -> str:
    """A value of the file, for a sentence: text in quotes and cut, containers by their kind."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:77]}…" + ('"' if isinstance(value, str) else "")  # noqa: PLR2004


def _number_as_text(value: Any) -> Any:
    """YAML numbers, and booleans, where text is meant: as JSON writes them."""
    return json.dumps(value) if isinstance(value, bool | int | float) else value


def _size_as_text(value: Any) -> Any:
    return str(value) if type(value) is int else value


def _needs_unit(value: Any) -> Any:
    if type(value) in {int, float}:
        raise wrong(f"{value} needs a unit, such as {value}s")
    return value


def _host_port(text: str) -> str:
    """``host:port`` with a DNS name, an IPv4 address or a bracketed IPv6 address."""
    if "://" in text:
        raise wrong(f"{show(text)} must be host:port without a scheme; TLS is said by tls: true")
    host, separator, port = text.rpartition(":")
    if not separator or re.fullmatch(r"[1-9][0-9]{0,4}", port) is None or int(port) > 65535:  # noqa: PLR2004
        raise wrong(f'{show(text)} must be host:port, such as "10.0.0.7:8000"')
    _host(host, text)
    return text


def _host(host: str, text: str) -> None:
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        if bracketed or len(host) > 253 or not re.fullmatch(_HOST, host) or re.fullmatch("[0-9.]+", host):  # noqa: PLR2004
            raise wrong(f"{show(text)} has no valid host name or IP address before its port") from None
        return
    if bracketed != (address.version == 6):  # noqa: PLR2004
        raise wrong(f'{show(text)} must have an IPv6 address in brackets and no other, as in "[fd00::7]:8000"')


def _ip_address(text: str) -> str:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise wrong(f'{show(text)} must be an IP address, such as "0.0.0.0"') from None
    return text


def _router_address(text: str) -> str:
    return text if re.fullmatch(r"unix:/\S+", text) else _host_port(text)


def _body_path(text: str) -> str:
    """A dotted path or a JSON Pointer (RFC 6901)."""
    if text.startswith("/"):
        if _ESCAPES.search(text):
            raise wrong(f"{show(text)} is not a JSON Pointer: after ~ only 0 (for ~) or 1 (for /) may follow")
    elif not all(text.split(".")):
        raise wrong(f'{show(text)} must be a field such as "inference_server", "metadata.engine" or "/metadata/engine"')
    return text


def _header_name(text: str) -> str:
    if "_" in text:
        raise wrong(f"{show(text)} has an underscore: the gateway drops such headers; use -")
    if len(text) > 256 or re.fullmatch(_TOKEN, text) is None:  # noqa: PLR2004 - HTTPHeaderName's limit
        raise wrong(f"{show(text)} is not a header name: letters, digits and - (RFC 9110, section 5.6.2)")
    return text


def _http_path(text: str) -> str:
    """A path that HTTPRoute's rules accept (Gateway API v1, HTTPPathMatch)."""
    if not text.startswith("/"):
        raise wrong(f'{show(text)} must start with "/"')
    if re.fullmatch(r"(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+", text) is None:
        raise wrong(f"{show(text)} has characters that a path can't have; no query, no blanks")
    if re.search(r"//|/\.\.?(/|$)|%2f", text, re.IGNORECASE):
        raise wrong(f'{show(text)} must be written without "//", "/./", "/../" and "%2F"')
    if len(text) > 1024:  # noqa: PLR2004 - HTTPPathMatch's limit
        raise wrong("is longer than 1024 characters")
    return text


def _url(text: str) -> str:
    match = re.fullmatch(r"https?://([^/?#\s@]+)(/[^?#\s]*)?", text)
    if match is None:
        raise wrong(f'{show(text)} must be a URL such as "http://10.0.0.7:8000/v1/models"')
    host = match.group(1)
    _host_port(host if re.search(r":\d+$", host) else f"{host}:80")
    return text


Text = Annotated[str, *_shaped(_TEXT, "must be one line of text without blanks at its ends", 1024)]
_DNS_NAME = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_SAYS = "must be lower-case letters, digits and -, and begin and end with a letter or digit"
Label = Annotated[str, *_shaped(_LABEL, _LABEL_SAYS, 63)]
LongLabel = Annotated[str, *_shaped(_LABEL, _LABEL_SAYS)]
ObjectName = Annotated[
    str,
    *_shaped(
        r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?",
        "must be lower-case letters, digits, - and ., and begin and end with a letter or digit",
    ),
]
DNSName = Annotated[str, *_shaped(_DNS_NAME, "must be a lower-case DNS name without a port")]
Hostname = Annotated[
    str,
    *_shaped(rf"(\*\.)?{_DNS_NAME}", 'must be a lower-case DNS name without a port, possibly beginning with "*."'),
]
Image = Annotated[str, *_shaped(r"[!-~]+", "must be a container image, such as registry.example.com/router:1.0", 1024)]
Owner = Annotated[
    str,
    *_shaped(r"[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?", "must be letters, digits and any of - _ . / within", 63),
]
RuleName = Annotated[str, *_shaped(r"[!-~]([ -~]*[!-~])?", "must be plain ASCII text without blanks at its ends", 63)]
Duration = Annotated[
    str,
    BeforeValidator(_needs_unit),
    *_shaped(r"([0-9]{1,5}(h|m|s|ms)){1,4}", 'must be a duration such as "15s", "500ms" or "1m30s"'),
]
Size = Annotated[
    str,
    BeforeValidator(_size_as_text),
    *_shaped(_SIZE, 'must be a size such as "32Mi", "512Ki" or a number of bytes'),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": f"^{_SIZE}$"},
                {"type": "integer", "minimum": 1},
            ]
        }
    ),
]
Quantity = Annotated[
    str,
    BeforeValidator(_number_as_text),
    *_shaped(r"[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?", 'must be a Kubernetes quantity such as "250m" or "1Gi"'),
    WithJsonSchema({"type": ["string", "number"]}),
]
HeaderName = Annotated[
    str, AfterValidator(_header_name), WithJsonSchema({"type": "string", "pattern": f"^{_TOKEN}$", "maxLength": 256})
]
HTTPPath = Annotated[
    str, AfterValidator(_http_path), WithJsonSchema({"type": "string", "pattern": "^/", "maxLength": 1024})
]
BodyPath = Annotated[str, AfterValidator(_body_path), WithJsonSchema({"type": "string", "minLength": 1})]
HostPort = Annotated[str, AfterValidator(_host_port), WithJsonSchema({"type": "string", "pattern": ":[0-9]{1,5}$"})]
IPAddress = Annotated[str, AfterValidator(_ip_address)]
RouterAddress = Annotated[
    str,
    AfterValidator(_router_address),
    WithJsonSchema({"type": "string", "pattern": "(^unix:/)|(:[0-9]{1,5}$)"}),
]
URL = Annotated[str, AfterValidator(_url), WithJsonSchema({"type": "string", "pattern": "^https?://"})]
Port = Annotated[int, Field(ge=1, le=65535)]
Weight = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
Pattern = Annotated[str, BeforeValidator(_number_as_text), WithJsonSchema({"type": ["string", "number", "boolean"]})]
