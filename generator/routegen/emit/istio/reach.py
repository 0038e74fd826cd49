"""How HTTPRoutes reach a backend on Istio: a Service or a pool as they are, addresses through a ServiceEntry.

A ServiceEntry gives addresses outside the cluster a host name that Istio alone knows, and Istio's HTTPRoutes refer to
it by the kind ``Hostname``. TLS is the DestinationRule's business (:mod:`routegen.emit.istio.destination_rules`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from routegen.common.addresses import is_ip
from routegen.emit.gateway_api import reach as gateway_api
from routegen.emit.gateway_api.reach import Reach
from routegen.emit.kubernetes.addresses import precise
from routegen.emit.kubernetes.objects import Document, child_name, document
from routegen.plan import Addresses, Backend, Plan, PoolRef, ServiceRef

API: Final = "networking.istio.io/v1"
_PORT: Final = 80
"""Of the ServiceEntry's host name; each address has its own."""


def reach(plan: Plan, backend: Backend) -> Reach:
    """How ``backend`` is reached from an HTTPRoute in the routes' namespace."""
    match backend.reach:
        case ServiceRef() as service:
            return gateway_api.service(plan, replace(backend, tls=None), service)
        case PoolRef() as pool:
            return gateway_api.pool(plan, backend, pool)
        case Addresses() as addresses:
            ref = {
                "group": "networking.istio.io",
                "kind": "Hostname",
                "name": host(plan, backend),
                "port": _PORT,
                "weight": 1,
            }
            return Reach((ref,), (_service_entry(plan, backend, addresses),))


def host(plan: Plan, backend: Backend) -> str | None:
    """What Istio calls the backend; ``None``: a pool, whose name is Istio's own."""
    match backend.reach:
        case ServiceRef() as service:
            return service.host
        case PoolRef():
            return None
        case Addresses():
            return f"{child_name(plan.name, backend.name)}.{plan.namespace}.routegen.internal"


def _service_entry(plan: Plan, backend: Backend, addresses: Addresses) -> Document:
    """Seen where the routes are, and where the gateway is."""
    named = any(not is_ip(address) for address, _ in addresses.endpoints)
    spec: dict[str, Any] = {
        "hosts": [host(plan, backend)],
        "exportTo": [".", *([] if plan.gateway.namespace == plan.namespace else [plan.gateway.namespace])],
        "location": "MESH_EXTERNAL",
        "resolution": "DNS" if named else "STATIC",
        "ports": [{"name": "http", "number": _PORT, "protocol": "HTTP"}],
        "endpoints": [{"address": precise(address), "ports": {"http": port}} for address, port in addresses.endpoints],
    }
    return document(plan, API, "ServiceEntry", child_name(plan.name, backend.name), "backend", spec)
