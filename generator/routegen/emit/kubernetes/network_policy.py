"""Who may connect to the router's pods.

Probes come from the node, which a NetworkPolicy always lets in (Kubernetes' documentation). What the router itself
connects to isn't narrowed: it asks engines wherever they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from routegen.emit.kubernetes.objects import ROUTER, Document, document, selector_labels
from routegen.emit.kubernetes.router_deployment import grpc_ports, router_name
from routegen.plan import Plan
from routegen.plan.router import Peer


def documents(plan: Plan) -> list[Document]:
    """The NetworkPolicy, where one is asked for."""
    asked = plan.router.network_policy
    if asked is None:
        return []
    ingress = [_rule([asked.gateway], [name for name, _ in grpc_ports(plan)])]
    if asked.metrics:
        ingress.append(_rule(asked.metrics, ["http"]))
    selector = {"matchLabels": selector_labels(plan, ROUTER)}
    spec = {"podSelector": selector, "policyTypes": ["Ingress"], "ingress": ingress}
    return [document(plan, "networking.k8s.io/v1", "NetworkPolicy", router_name(plan), ROUTER, spec)]


def _rule(peers: Sequence[Peer], ports: Sequence[str]) -> dict[str, Any]:
    return {"from": [_peer(peer) for peer in peers], "ports": [{"protocol": "TCP", "port": port} for port in ports]}


def _peer(peer: Peer) -> dict[str, Any]:
    # The API server sets this label on every namespace; a peer without a namespace would be in the router's own.
    namespace = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": peer.namespace}}}
    return {**namespace, "podSelector": {"matchLabels": dict(peer.labels)}} if peer.labels else namespace
