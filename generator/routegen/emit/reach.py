"""How HTTPRoutes reach the backends: references, and the objects that a reference may need.

A Service or an InferencePool is referred to as it is, with a ReferenceGrant where it lives in another namespace. What
Gateway API can't refer to (addresses outside the cluster, an unverified certificate) goes through Envoy Gateway's own
``Backend``. A verified certificate is a BackendTLSPolicy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Any, Final

from routegen.addresses import is_ip
from routegen.emit.kubernetes import Document, child_name, document
from routegen.plan import Addresses, Backend, Plan, PoolRef, ServiceRef, UpstreamTLS
from routegen.problems import UserError

BACKEND_GROUP: Final = "gateway.envoyproxy.io"
POOL_GROUP: Final = "inference.networking.k8s.io"
_MAX_ENDPOINTS: Final = 256
_DNS_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\.?")
"""Both as Envoy Gateway's Backend has them."""
_BACKEND_API: Final = (
    "addresses and unverified certificates are rendered as Backend objects, which Envoy Gateway reads only with"
    " `extensionApis.enableBackend: true` in its configuration"
)


@dataclass(frozen=True, slots=True)
class Reach:
    """How one backend is reached."""

    refs: tuple[dict[str, Any], ...]
    """``backendRefs`` of an HTTPRoute's rule."""
    documents: tuple[Document, ...] = ()
    """What those need beside the backend itself."""
    notices: tuple[str, ...] = ()
    """What the person who renders has to know."""


def reach(plan: Plan, backend: Backend) -> Reach:
    """How ``backend`` is reached from an HTTPRoute in the routes' namespace.

    :raises UserError: it has an address that Kubernetes can't write down.
    """
    match backend.reach:
        case ServiceRef() as service:
            if backend.tls is not None and not backend.tls.verify:
                return _addresses(plan, backend, Addresses(((service.host, service.port),)), backend.tls)
            return _service(plan, backend, service)
        case PoolRef() as pool:
            return _pool(plan, backend, pool)
        case Addresses() as addresses:
            return _addresses(plan, backend, addresses, backend.tls)


def _service(plan: Plan, backend: Backend, service: ServiceRef) -> Reach:
    documents = _grants(plan, backend, "", "Service", service.name, service.namespace)
    if backend.tls is not None:
        target = {"group": "", "kind": "Service", "name": service.name}
        hostname = backend.tls.server_name or service.host
        name = child_name(plan.name, backend.name)
        documents.append(_tls_policy(plan, backend, name, target, hostname, service.namespace))
    ref = {"name": service.name, "namespace": service.namespace, "port": service.port}
    return Reach((ref,), tuple(documents))


def _pool(plan: Plan, backend: Backend, pool: PoolRef) -> Reach:
    assert backend.tls is None, "the compiler refuses TLS to a pool"
    notice = (
        f"backend {backend.name}: Envoy Gateway alone doesn't know InferencePools; it needs Envoy AI Gateway's"
        " extension server, else the route is not accepted (ResolvedRefs: InvalidKind)"
    )
    ref = {"group": POOL_GROUP, "kind": "InferencePool", "name": pool.name, "namespace": pool.namespace}
    grants = _grants(plan, backend, POOL_GROUP, "InferencePool", pool.name, pool.namespace)
    return Reach((ref,), tuple(grants), (notice,))


def _grants(plan: Plan, backend: Backend, group: str, kind: str, name: str, namespace: str) -> list[Document]:
    """The permission to refer to another namespace; it lives there, not with the routes."""
    if namespace == plan.namespace:
        return []
    spec = {
        "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": plan.namespace}],
        "to": [{"group": group, "kind": kind, "name": name}],
    }
    grant = child_name(plan.namespace, plan.name, backend.name)
    # v1beta1: every version of Gateway API that Envoy Gateway 1.8 and newer ships with serves it.
    version = "gateway.networking.k8s.io/v1beta1"
    return [document(plan, version, "ReferenceGrant", grant, "backend", spec, namespace)]


def _addresses(plan: Plan, backend: Backend, addresses: Addresses, tls: UpstreamTLS | None) -> Reach:
    groups = _grouped(backend, addresses, tls)
    refs, documents = [], []
    for index, endpoints in enumerate(groups, start=1):
        # No backend has a dot in its name, so no two names meet.
        name = child_name(plan.name, backend.name) + (f".{index}" if index > 1 else "")
        spec: dict[str, Any] = {"endpoints": [_endpoint(host, port) for host, port in endpoints]}
        if tls is not None and not tls.verify:
            server_name = tls.server_name or _common_name(endpoints)
            spec["tls"] = {"insecureSkipVerify": True, **({"sni": server_name} if server_name else {})}
        documents.append(document(plan, f"{BACKEND_GROUP}/v1alpha1", "Backend", name, "backend", spec))
        if tls is not None and tls.verify:
            target = {"group": BACKEND_GROUP, "kind": "Backend", "name": name}
            hostname = tls.server_name or endpoints[0][0].lower()
            documents.append(_tls_policy(plan, backend, name, target, hostname, plan.namespace))
        ref: dict[str, Any] = {"group": BACKEND_GROUP, "kind": "Backend", "name": name}
        refs.append(ref | {"weight": len(endpoints)} if len(groups) > 1 else ref)
    return Reach(tuple(refs), tuple(documents), _notices(backend, addresses))


def _notices(backend: Backend, addresses: Addresses) -> tuple[str, ...]:
    local = {host: None for host, _ in addresses.endpoints if is_ip(host) and ip_address(host).is_loopback}
    if not local:
        return (_BACKEND_API,)
    return (_BACKEND_API, f"backend {backend.name}: {', '.join(local)} is the gateway's own pod there")


def _grouped(backend: Backend, addresses: Addresses, tls: UpstreamTLS | None) -> list[tuple[tuple[str, int], ...]]:
    """Endpoints that may share a Backend: it mixes no names with IP addresses, verifies one name, and has a limit."""
    by_name = tls is not None and tls.verify and tls.server_name is None
    groups: dict[str, list[tuple[str, int]]] = {}
    for host, port in addresses.endpoints:
        assert not (by_name and is_ip(host)), "the compiler asks for a name to verify"
        if not is_ip(host) and not _DNS_NAME.fullmatch(host.lower()):
            raise UserError(f"backend {backend.name!r}: {host} is no DNS name, so Kubernetes takes no such address")
        key = host.lower() if by_name else "ip" if is_ip(host) else "name"
        groups.setdefault(key, []).append((host, port))
    return [
        tuple(endpoints[start : start + _MAX_ENDPOINTS])
        for endpoints in groups.values()
        for start in range(0, len(endpoints), _MAX_ENDPOINTS)
    ]


def _endpoint(host: str, port: int) -> dict[str, Any]:
    if is_ip(host):
        address = ip_address(host)
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return {"ip": {"address": str(mapped or address), "port": port}}
    return {"fqdn": {"hostname": host.lower(), "port": port}}


def _common_name(endpoints: tuple[tuple[str, int], ...]) -> str | None:
    """The DNS name that all endpoints share, for SNI."""
    hosts = {host.lower() for host, _ in endpoints}
    return hosts.pop() if len(hosts) == 1 and not is_ip(endpoints[0][0]) else None


def _tls_policy(
    plan: Plan, backend: Backend, name: str, target: dict[str, str], hostname: str, namespace: str
) -> Document:
    """TLS with a verified certificate; the policy lives beside its target."""
    assert backend.tls is not None
    validation: dict[str, Any] = {"hostname": hostname}
    if backend.tls.ca_config_map is not None:
        reference = {"group": "", "kind": "ConfigMap", "name": backend.tls.ca_config_map}
        validation["caCertificateRefs"] = [reference]
    else:
        validation["wellKnownCACertificates"] = "System"
    spec = {"targetRefs": [target], "validation": validation}
    return document(plan, "gateway.networking.k8s.io/v1", "BackendTLSPolicy", name, "backend", spec, namespace)
