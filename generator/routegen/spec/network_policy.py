"""Who may connect to the router's pods, where somebody wants that narrowed: said, never guessed."""

from __future__ import annotations

from pydantic import Field

from routegen.spec.base import Model
from routegen.spec.scalars import Label, Text


class PeerSpec(Model):
    """Pods of one namespace."""

    namespace: Label = Field(description="Their namespace.")
    labels: dict[Text, Text] = Field({}, description="Label -> value that each of them has; empty: all pods there.")


class NetworkPolicySpec(Model):
    """A NetworkPolicy for the router's pods (Kubernetes targets): nobody else may connect to them."""

    gateway: PeerSpec = Field(description="The gateway's Envoys, which ask for decisions.")
    metrics: list[PeerSpec] = Field(
        [], max_length=16, description="Who may read metrics, `/registry` and `/readyz`; empty: the kubelet alone."
    )
