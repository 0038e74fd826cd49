"""How HTTPRoutes reach a backend on Envoy Gateway: by Gateway API's references, or else by a ``Backend``.

``Backend`` is Envoy Gateway's own kind for addresses outside the cluster and for certificates that aren't verified.
"""

from __future__ import annotations

from typing import Any, Final

from routegen.common.addresses import is_ip
from routegen.emit.gateway_api import reach as gateway_api
from routegen.emit.gateway_api.reach import Reach
from routegen.emit.kubernetes.addresses import precise
from routegen.emit.kubernetes.objects import Document, child_name, document
from routegen.plan import Addresses, Backend, Plan, PoolRef, ServiceRef, UpstreamTLS

GROUP: Final = "gateway.envoyproxy.io"
MAX_ENDPOINTS: Final = 256
"""Of one ``Backend``."""


def reach(plan: Plan, backend: Backend) -> Reach:
    """How ``backend`` is reached from an HTTPRoute in the routes' namespace."""
    match backend.reach:
        case ServiceRef() as service if backend.tls is None or backend.tls.verify:
            return gateway_api.service(plan, backend, service)
        case ServiceRef() as service:
            return _addresses(plan, backend, Addresses(((service.host, service.port),)), backend.tls)
        case PoolRef():
            raise AssertionError("the compiler refuses pools for this target")
        case Addresses() as addresses:
            return _addresses(plan, backend, addresses, backend.tls)


def needs_backend_api(backend: Backend) -> bool:
    """Whether ``backend`` is reached by a ``Backend``, which Envoy Gateway reads only where it is told to."""
    if isinstance(backend.reach, ServiceRef):
        return backend.tls is not None and not backend.tls.verify
    return isinstance(backend.reach, Addresses)


def _addresses(plan: Plan, backend: Backend, addresses: Addresses, tls: UpstreamTLS | None) -> Reach:
    groups = grouped(addresses, tls)
    refs, documents = [], []
    for index, endpoints in enumerate(groups, start=1):
        # No backend has a dot in its name, so no two names meet.
        name = child_name(plan.name, backend.name) + (f".{index}" if index > 1 else "")
        documents += _backend(plan, backend, name, endpoints, tls)
        weight = len(endpoints) if len(groups) > 1 else 1
        refs.append({"group": GROUP, "kind": "Backend", "name": name, "weight": weight})
    return Reach(tuple(refs), tuple(documents))


def _backend(
    plan: Plan, backend: Backend, name: str, endpoints: tuple[tuple[str, int], ...], tls: UpstreamTLS | None
) -> list[Document]:
    spec: dict[str, Any] = {"endpoints": [_endpoint(host, port) for host, port in endpoints]}
    if tls is not None and not tls.verify:
        server_name = tls.server_name or _common_name(endpoints)
        spec["tls"] = {"insecureSkipVerify": True, **({"sni": server_name} if server_name else {})}
    documents = [document(plan, f"{GROUP}/v1alpha1", "Backend", name, "backend", spec)]
    if tls is not None and tls.verify:
        assert tls.server_name or not is_ip(endpoints[0][0]), "the compiler asks for a name to verify"
        target = {"group": GROUP, "kind": "Backend", "name": name}
        documents.append(
            gateway_api.tls_policy(plan, backend, name, target, tls.server_name or precise(endpoints[0][0]))
        )
    return documents


def grouped(addresses: Addresses, tls: UpstreamTLS | None) -> list[tuple[tuple[str, int], ...]]:
    """Endpoints that may share a Backend: it mixes no names with IP addresses, verifies one name, and has a limit."""
    by_name = tls is not None and tls.verify and tls.server_name is None
    groups: dict[str, list[tuple[str, int]]] = {}
    for host, port in addresses.endpoints:
        key = precise(host) if by_name else "ip" if is_ip(host) else "name"
        groups.setdefault(key, []).append((host, port))
    return [
        tuple(endpoints[start : start + MAX_ENDPOINTS])
        for endpoints in groups.values()
        for start in range(0, len(endpoints), MAX_ENDPOINTS)
    ]


def _endpoint(host: str, port: int) -> dict[str, Any]:
    if is_ip(host):
        return {"ip": {"address": precise(host), "port": port}}
    return {"fqdn": {"hostname": precise(host), "port": port}}


def _common_name(endpoints: tuple[tuple[str, int], ...]) -> str | None:
    """The DNS name that all endpoints share, for SNI."""
    hosts = {precise(host) for host, _ in endpoints}
    return hosts.pop() if len(hosts) == 1 and not is_ip(endpoints[0][0]) else None
