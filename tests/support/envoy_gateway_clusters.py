"""The clusters that Envoy Gateway makes: engines', the router's, and those of Services that nothing serves.

From its golden files: a connection may take 10 s unless a policy says otherwise; an address that an EndpointSlice calls
not serving is a host that drains; without any address there is no cluster, and the policy that needs it is invalid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

Document = Mapping[str, Any]
Objects = Mapping[tuple[str, str], Document]
ROUTER: Final = "router"
"""The name of the router's cluster."""
_DEFAULT_CONNECT: Final = "10s"


def address(host: str, port: int) -> dict[str, Any]:
    """Envoy's form of it."""
    return {"socket_address": {"address": host, "port_value": port}}


def clusters(objects: Objects, routers: Iterable[str]) -> list[dict[str, Any]]:
    """All of them.

    :param routers: the routers' addresses, ``host:port`` or ``unix:/path``.
    """
    settings = _engine_settings(objects)
    found = [
        _cluster(name, [address(end["ip"]["address"], end["ip"]["port"]) for end in document["spec"]["endpoints"]])
        for (kind, name), document in objects.items()
        if kind == "Backend"
    ]
    for cluster in found:
        _apply(settings, cluster)
    service = _router_service(objects)
    for (kind, _), document in objects.items():
        if kind == "EndpointSlice" and _service(document) != service:
            found.append(_cluster(_service(document), []))
            found[-1]["load_assignment"]["endpoints"] = [{"lb_endpoints": _drained(document)}]
            found[-1]["common_lb_config"] = {"healthy_panic_threshold": {"value": 0}}
    return [*found, *_router(objects, routers)]


def routers_policy_is_valid(objects: Objects, routers: Iterable[str]) -> bool:
    """Envoy Gateway calls a policy invalid, and answers 500 on its routes, where its Service has no address at all."""
    return bool(_router(objects, routers))


def _router(objects: Objects, routers: Iterable[str]) -> list[dict[str, Any]]:
    found = []
    for router in routers:
        host, _, port = router.rpartition(":")
        found.append({"pipe": {"path": port}} if host == "unix" else address(host, int(port)))
    service = _router_service(objects)
    drained = [
        end
        for (kind, _), document in objects.items()
        if kind == "EndpointSlice" and _service(document) == service
        for end in _drained(document)
    ]
    if not found and not drained:
        return []
    cluster = _cluster(ROUTER, found)
    references = _router_references(objects)
    if references > 1:  # each is a locality of the same weight; a pod's workers are told one after the other
        ends = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
        cluster["load_assignment"]["endpoints"] = [
            {"locality": {"region": f"{number}"}, "load_balancing_weight": 1, "lb_endpoints": ends[number::references]}
            for number in range(references)
        ]
    cluster["load_assignment"]["endpoints"][0]["lb_endpoints"] += drained
    cluster["typed_extension_protocol_options"] = {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        }
    }
    _apply(_router_settings(objects), cluster)
    if references > 1:
        cluster["common_lb_config"]["locality_weighted_lb_config"] = {}
    return [cluster]


def _cluster(name: str, addresses: list[dict[str, Any]]) -> dict[str, Any]:
    endpoints = [{"endpoint": {"address": one}} for one in addresses]
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": _DEFAULT_CONNECT,
        # Envoy Gateway's own value for clusters; that whole bodies pass in spite of it is part of the test.
        "per_connection_buffer_limit_bytes": 32768,
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
    }


def _service(endpoint_slice: Document) -> str:
    return str(endpoint_slice["metadata"]["labels"]["kubernetes.io/service-name"])


def _drained(endpoint_slice: Document) -> list[dict[str, Any]]:
    """Its endpoints, none of which serves."""
    assert not any(one["conditions"]["serving"] for one in endpoint_slice["endpoints"])
    return [
        {"endpoint": {"address": address(one["addresses"][0], port["port"])}, "health_status": "DRAINING"}
        for one in endpoint_slice["endpoints"]
        for port in endpoint_slice["ports"]
    ]


def _router_service(objects: Objects) -> str:
    [name] = {
        reference["name"]
        for (kind, _), document in objects.items()
        if kind == "EnvoyExtensionPolicy"
        for processor in document["spec"]["extProc"]
        for reference in processor["backendRefs"]
    }
    return str(name)


def _router_references(objects: Objects) -> int:
    """How many ports of the router's Service a policy refers to; all refer to the same."""
    [count] = {
        len(processor["backendRefs"])
        for (kind, _), document in objects.items()
        if kind == "EnvoyExtensionPolicy"
        for processor in document["spec"]["extProc"]
    }
    return count


def _router_settings(objects: Objects) -> Mapping[str, Any]:
    for (kind, _), document in objects.items():
        if kind == "EnvoyExtensionPolicy":
            settings: Mapping[str, Any] = document["spec"]["extProc"][0]["backendSettings"]
            return settings
    raise AssertionError("no policy asks a router")


def _engine_settings(objects: Objects) -> Mapping[str, Any]:
    """Of the policy of the routes that lead to engines."""
    for (kind, name), document in objects.items():
        if kind == "BackendTrafficPolicy" and name.endswith("-engines"):
            spec: Mapping[str, Any] = document["spec"]
            return spec
    raise AssertionError("no policy for the routes of engines")


def _apply(settings: Mapping[str, Any], cluster: dict[str, Any]) -> None:
    """ClusterSettings, which both kinds of policy have: how one cluster's hosts are connected to, chosen and judged."""
    cluster["connect_timeout"] = settings.get("timeout", {}).get("tcp", {}).get("connectTimeout", _DEFAULT_CONNECT)
    if settings.get("loadBalancer", {}).get("type", "LeastRequest") == "LeastRequest":
        cluster["lb_policy"] = "LEAST_REQUEST"
    health = settings.get("healthCheck", {})
    if "panicThreshold" in health:
        cluster["common_lb_config"] = {"healthy_panic_threshold": {"value": health["panicThreshold"]}}
    if active := health.get("active"):
        assert active["type"] == "GRPC"
        cluster["health_checks"] = [
            {
                "interval": active["interval"],
                "timeout": active["timeout"],
                "unhealthy_threshold": active["unhealthyThreshold"],
                "healthy_threshold": active["healthyThreshold"],
                "grpc_health_check": {},
            }
        ]
    if passive := health.get("passive"):
        cluster["outlier_detection"] = {
            "consecutive_5xx": passive["consecutive5XxErrors"],
            **(
                {"consecutive_gateway_failure": passive["consecutiveGatewayErrors"]}
                if "consecutiveGatewayErrors" in passive
                else {}
            ),
            "interval": passive["interval"],
            "base_ejection_time": passive["baseEjectionTime"],
            "max_ejection_percent": passive["maxEjectionPercent"],
            "split_external_local_origin_errors": passive.get("splitExternalLocalOriginErrors", False),
            **(
                {"consecutive_local_origin_failure": passive["consecutiveLocalOriginFailures"]}
                if "consecutiveLocalOriginFailures" in passive
                else {}
            ),
        }
    if breaker := settings.get("circuitBreaker"):
        threshold = {
            "max_connections": breaker["maxConnections"],
            "max_pending_requests": breaker["maxPendingRequests"],
            "max_requests": breaker["maxParallelRequests"],
            "max_retries": breaker["maxParallelRetries"],
        }
        cluster["circuit_breakers"] = {"thresholds": [threshold]}
