"""What cert-manager is asked for: the certificates of both ends of the connection between gateway and router."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from routegen.emit.kubernetes.objects import ROUTER, Document, child_name, document
from routegen.emit.kubernetes.router_deployment import router_name
from routegen.plan import Plan


def server_name(plan: Plan) -> str:
    """The name in the router's certificate."""
    given = plan.router.tls.server_name if plan.router.tls is not None else None
    return given or f"{router_name(plan)}.{plan.namespace}.svc"


def documents(plan: Plan) -> list[Document]:
    """A Certificate (cert-manager.io/v1) for each Secret, where an issuer is named."""
    tls = plan.router.tls
    if tls is None or tls.issuer is None:
        return []
    assert tls.router.secret is not None  # the compiler saw to it
    assert tls.gateway.secret is not None
    gateway = child_name(plan.name, "gateway")
    own = _certificate(plan, router_name(plan), tls.router.secret, server_name(plan), ["server auth"], plan.namespace)
    return [own, _certificate(plan, gateway, tls.gateway.secret, gateway, ["client auth"], plan.gateway.namespace)]


def _certificate(plan: Plan, name: str, secret: str, dns_name: str, usages: Sequence[str], namespace: str) -> Document:
    assert plan.router.tls is not None
    issuer = plan.router.tls.issuer
    assert issuer is not None
    spec: dict[str, Any] = {
        "secretName": secret,
        "dnsNames": [dns_name],
        "usages": ["digital signature", *usages],
        "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
        "issuerRef": {"group": issuer.group, "kind": issuer.kind, "name": issuer.name},
    }
    return document(plan, "cert-manager.io/v1", "Certificate", name, ROUTER, spec, namespace)
