"""DestinationRules: how this Gateway's proxies speak to engines and to the router.

They stand in the Gateway's namespace, where Istio looks first, and hold for its pods alone (``workloadSelector``): what
else calls an engine keeps its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from routegen.common.addresses import is_ip
from routegen.emit import limits
from routegen.emit.istio.reach import API, host
from routegen.emit.kubernetes.addresses import precise
from routegen.emit.kubernetes.objects import ROUTER, Document, child_name, document
from routegen.emit.kubernetes.router_deployment import router_name
from routegen.plan import Addresses, Backend, Plan, ServiceRef

GATEWAY_LABEL: Final = "gateway.networking.k8s.io/gateway-name"
"""What Istio labels the pods of a Gateway with."""


def engine_rules(plan: Plan) -> list[Document]:
    """One for each host, called after its first backend: Istio follows one rule a host.

    A pool has none: Istio makes its host, and the picker chooses among its endpoints.
    """
    hosts: dict[str, list[Backend]] = {}
    for backend in plan.backends:
        if at := host(plan, backend):
            hosts.setdefault(at, []).append(backend)
    return [
        _rule(plan, ("to", backends[0].name), at, "backend", _engines(plan, backends)) for at, backends in hosts.items()
    ]


def router_rule(plan: Plan) -> Document:
    """How the router is asked."""
    at = f"{router_name(plan)}.{plan.namespace}.svc.cluster.local"
    policy = {
        **_balancing(),
        "connectionPool": {
            "tcp": _tcp(1),
            "http": {
                **_bounds(),
                "h2UpgradePolicy": "UPGRADE",
                # A router that hangs answers no ping; what waits there is asked of another one.
                "http2KeepAlive": {"interval": "1s", "timeout": "1s"},
            },
        },
        # Least-request balancing prefers an instance that fails fast, unless it is thrown out.
        "outlierDetection": {
            "consecutive5xxErrors": 3,
            "consecutiveGatewayErrors": 3,
            "interval": "1s",
            "baseEjectionTime": "2s",
            "maxEjectionPercent": 75,
        },
    }
    return _rule(plan, (ROUTER,), at, ROUTER, policy)


def verified_names(backend: Backend) -> tuple[str, ...]:
    """The names that an engine's certificate may bear, each once."""
    assert backend.tls is not None
    if backend.tls.server_name is not None:
        return (backend.tls.server_name,)
    match backend.reach:
        case ServiceRef() as service:
            return (service.host,)
        case Addresses() as addresses:
            names = (precise(address) for address, _ in addresses.endpoints if not is_ip(address))
            return tuple(dict.fromkeys(names))
    return ()


def _rule(plan: Plan, parts: tuple[str, ...], at: str, component: str, policy: dict[str, Any]) -> Document:
    spec = {
        "host": at,
        "exportTo": ["."],
        "workloadSelector": {"matchLabels": {GATEWAY_LABEL: plan.gateway.name}},
        "trafficPolicy": policy,
    }
    name = beside_gateway(plan, *parts)
    return document(plan, API, "DestinationRule", name, component, spec, plan.gateway.namespace)


def beside_gateway(plan: Plan, *parts: str) -> str:
    """The name of an object in the Gateway's namespace, where routes of the same name may come from several others."""
    if plan.gateway.namespace == plan.namespace:
        return child_name(plan.name, *parts)
    return child_name(plan.namespace, plan.name, *parts)


def _engines(plan: Plan, backends: Sequence[Backend]) -> dict[str, Any]:
    """Of one engine, or of several that are ports of one Service."""
    if len(backends) == 1:
        return _engine(plan, backends[0])
    ports = ((backend.reach.port, backend) for backend in backends if isinstance(backend.reach, ServiceRef))
    return {"portLevelSettings": [{"port": {"number": port}, **_engine(plan, backend)} for port, backend in ports]}


def _engine(plan: Plan, backend: Backend) -> dict[str, Any]:
    """Only failed connections count: an engine's 5xx (0: never) may be the request's fault.

    At most half of the instances are thrown out, so a lone one never is.
    """
    policy: dict[str, Any] = {
        **_balancing(),
        "connectionPool": {
            "tcp": _tcp(5),
            # vLLM and SGLang speak HTTP/1.1 alone, also where the mesh upgrades.
            "http": {**_bounds(), "h2UpgradePolicy": "DO_NOT_UPGRADE", "idleTimeout": _seconds(limits.KEEP_ALIVE)},
        },
        "outlierDetection": {
            "splitExternalLocalOriginErrors": True,
            "consecutiveLocalOriginFailures": 3,
            "consecutive5xxErrors": 0,
            "consecutiveGatewayErrors": 0,
            "interval": "2s",
            "baseEjectionTime": "5s",
            "maxEjectionPercent": 50,
        },
    }
    return policy if backend.tls is None else policy | {"tls": _tls(plan, backend)}


def _tls(plan: Plan, backend: Backend) -> dict[str, Any]:
    """Without ``credentialName`` the proxy trusts the system's authorities."""
    assert backend.tls is not None
    names = verified_names(backend)
    spoken = {"mode": "SIMPLE", **({"sni": names[0]} if len(names) == 1 and not is_ip(names[0]) else {})}
    if not backend.tls.verify:
        return spoken | {"insecureSkipVerify": True}
    if backend.tls.ca_config_map is not None:
        namespace = backend.reach.namespace if isinstance(backend.reach, ServiceRef) else plan.namespace
        spoken["credentialName"] = f"configmap://{namespace}/{backend.tls.ca_config_map}"
    return spoken | {"subjectAltNames": list(names)}


def _balancing() -> dict[str, Any]:
    """Over all zones: with outlier detection Istio would prefer its own, until its instances there fail."""
    return {"loadBalancer": {"simple": "LEAST_REQUEST", "localityLbSetting": {"enabled": False}}}


def _tcp(connect: int) -> dict[str, Any]:
    return {
        "connectTimeout": f"{connect}s",
        "maxConnections": 2 * limits.PARALLEL,
        "tcpKeepalive": {"time": "60s", "interval": "10s", "probes": 3},
    }


def _bounds() -> dict[str, Any]:
    return {"http1MaxPendingRequests": limits.PARALLEL, "http2MaxRequests": limits.PARALLEL, "maxRetries": 1024}


def _seconds(value: float) -> str:
    return f"{value:g}s"
