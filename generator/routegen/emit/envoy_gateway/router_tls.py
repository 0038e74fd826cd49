"""TLS from Envoy Gateway's Envoys to the router.

Whose certificate is taken is said by a BackendTLSPolicy for the router's port. Which one Envoy shows can be said for a
``Backend`` object or for all of a Gateway's TLS backends at once (EnvoyProxy, ``backendTLS``). The latter is used: a
``Backend`` has no endpoints of a Service, so pods that come and go would be noticed by DNS only.
"""

from __future__ import annotations

from typing import Any

from routegen.emit.kubernetes.certificates import server_name
from routegen.emit.kubernetes.objects import ROUTER, Document, document
from routegen.emit.kubernetes.router_deployment import grpc_ports, router_name
from routegen.plan import Plan


def policies(plan: Plan) -> list[Document]:
    """The router must show a certificate of its name, by the authority in its own Secret."""
    tls = plan.router.tls
    if tls is None:
        return []
    service = {"group": "", "kind": "Service", "name": router_name(plan)}
    targets = [{**service, "sectionName": name} for name, _ in grpc_ports(plan)]
    authority = {"group": "", "kind": "Secret", "name": tls.router.secret}
    validation = {"hostname": server_name(plan), "caCertificateRefs": [authority]}
    spec = {"targetRefs": targets, "validation": validation}
    return [document(plan, "gateway.networking.k8s.io/v1", "BackendTLSPolicy", router_name(plan), ROUTER, spec)]


def proxy_settings(plan: Plan) -> dict[str, Any]:
    """The lines of the Gateway's EnvoyProxy that say what Envoy shows."""
    if plan.router.tls is None:
        return {}
    return {"backendTLS": {"clientCertificateRef": {"kind": "Secret", "name": plan.router.tls.gateway.secret}}}


def active_checks(plan: Plan) -> dict[str, Any]:
    """How Envoy asks each router whether it serves, by gRPC's health protocol; with TLS it can't, and doesn't.

    A gRPC server takes no connection without ALPN, and Envoy offers none on a health check's own connections unless it
    is told, which Envoy Gateway's API can't. A TCP check would do; but the first one comes before Envoy has its
    certificate, and while nobody is healthy, and so nobody asked, the next one comes after a minute.
    """
    if plan.router.tls is not None:
        return {}
    checked = {"type": "GRPC", "interval": "2s", "timeout": "1s", "unhealthyThreshold": 2, "healthyThreshold": 1}
    return {"active": checked}
