"""Who may connect to the router's pods, where somebody wants that narrowed: said, never guessed."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field, WithJsonSchema

from routegen.spec.base import Model
from routegen.spec.scalars import DNS_NAME, Label, show, wrong

_WORD: Final = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_LONGEST_PREFIX: Final = 253


def _key(text: str) -> str:
    """A label's key (Kubernetes, "Labels and Selectors", syntax)."""
    prefix, slash, name = text.rpartition("/")
    if (
        re.fullmatch(_WORD, name) is None
        or (slash and re.fullmatch(DNS_NAME, prefix) is None)
        or len(prefix) > _LONGEST_PREFIX
    ):
        raise wrong(f"{show(text)} is no label's key, such as app or app.kubernetes.io/name (a part has at most 63)")
    return text


def _value(text: str) -> str:
    """A label's value, by the same page; it may be empty."""
    if text and re.fullmatch(_WORD, text) is None:
        raise wrong(f"{show(text)} is no label's value: at most 63 letters, digits and any of - _ . within")
    return text


LabelKey = Annotated[str, AfterValidator(_key), WithJsonSchema({"title": "label's key", "type": "string"})]
LabelValue = Annotated[str, AfterValidator(_value), WithJsonSchema({"title": "label's value", "type": "string"})]


class PeerSpec(Model):
    """Pods of one namespace."""

    namespace: Label = Field(description="Their namespace.")
    labels: dict[LabelKey, LabelValue] = Field(
        {}, description="Label -> value that each of them has; empty: all pods there."
    )


class NetworkPolicySpec(Model):
    """A NetworkPolicy for the router's pods (Kubernetes targets): nobody else may connect to them."""

    gateway: PeerSpec = Field(description="The gateway's Envoys, which ask for decisions.")
    metrics: list[PeerSpec] = Field(
        [], max_length=16, description="Who may read metrics, `/registry` and `/readyz`; empty: the kubelet alone."
    )
