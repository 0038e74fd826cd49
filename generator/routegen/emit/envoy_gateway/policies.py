"""Envoy Gateway's own objects: how requests are read, how the router is asked, how engines are spoken to.

Policies choose HTTPRoutes by label, not by name, so that adding a backend changes no policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from routegen.emit import limits
from routegen.emit.envoy import names
from routegen.emit.envoy_gateway import overrides
from routegen.emit.kubernetes.objects import (
    INFERENCE_ROUTE,
    MODELS_ROUTE,
    PASSTHROUGH_ROUTE,
    ROUTER,
    UNREAD_ROUTE,
    WAITING_ROUTE,
    Document,
    child_name,
    document,
    quantity,
    selector_labels,
    to_service,
)
from routegen.emit.kubernetes.router_deployment import grpc_ports, router_name
from routegen.plan import Plan

API: Final = "gateway.envoyproxy.io/v1alpha1"
GATEWAY_API: Final = "gateway.networking.k8s.io"


def client_traffic_policy(plan: Plan) -> Document:
    """What holds for every request of the Gateway before any route is looked at."""
    target = {"group": GATEWAY_API, "kind": "Gateway", "name": plan.gateway.name}
    spec = {"targetRefs": [target], **client_traffic_settings(plan)}
    name = child_name(plan.name, "clients")
    return document(plan, API, "ClientTrafficPolicy", name, "gateway", spec, plan.gateway.namespace)


def client_traffic_settings(plan: Plan) -> dict[str, Any]:
    """The lines that a Gateway's ClientTrafficPolicy must hold, ours or not."""
    return {
        # Envoy Gateway's own is 32 KiB: too little where no route buffers by a limit of its own.
        "connection": {"bufferLimit": quantity(plan.max_body_bytes)},
        "headers": {
            # Only the router may set the routing header. Early: before the first look at the routes.
            "earlyRequestHeaders": {"remove": [plan.routing_header]},
            # A client finds its own id in the router's log; the default replaces it.
            "requestID": "PreserveOrGenerate",
            # Some engines take x_inference_server for x-inference-server.
            "withUnderscoresAction": "DropHeader",
        },
        # The default answers 307 where a path holds %2F, and clients encode the slashes of model ids so.
        "path": {"escapedSlashesAction": "KeepUnchanged"},
        "timeout": {"http": {"requestReceivedTimeout": _seconds(limits.UPLOAD)}},
    }


def extension_policies(plan: Plan) -> list[Document]:
    """Ask the router, on every route that requests wait on and on every route that it decides for.

    On the latter too: should a client's routing header get so far, the router overwrites it. With a failure backend the
    waiting route has a policy of its own, for it alone fails open: where the router can't overrule such a header, the
    request must not go to the engine that the client named.
    """
    name, fails_open = child_name(plan.name, ROUTER), plan.router.failure_backend is not None
    unread = []
    if plan.by_headers:
        by_headers = child_name(plan.name, ROUTER, "unread")
        unread = [_extension_policy(plan, by_headers, (UNREAD_ROUTE,), fails_open=fails_open, reads=False)]
    if not fails_open:
        return [_extension_policy(plan, name, (INFERENCE_ROUTE, WAITING_ROUTE, MODELS_ROUTE)), *unread]
    return [
        _extension_policy(plan, name, (INFERENCE_ROUTE, MODELS_ROUTE)),
        _extension_policy(plan, child_name(plan.name, ROUTER, "waiting"), (WAITING_ROUTE,), fails_open=True),
        *unread,
    ]


def _extension_policy(
    plan: Plan, name: str, components: Sequence[str], *, fails_open: bool = False, reads: bool = True
) -> Document:
    processor = {
        # One for each worker, which makes one cluster of them; each is an endpoint with a health of its own.
        "backendRefs": [to_service(router_name(plan), port) for _, port in grpc_ports(plan)],
        "processingMode": {"request": {"body": "Buffered"} if reads else {}},
        "messageTimeout": _seconds(limits.DECISION),
        "failOpen": fails_open,
        "metadata": {"writableNamespaces": [names.METADATA]},
        "backendSettings": {
            "circuitBreaker": _circuit_breaker(),
            "healthCheck": {
                # By gRPC's health protocol: whether each router serves.
                "active": {
                    "type": "GRPC",
                    "interval": "2s",
                    "timeout": "1s",
                    "unhealthyThreshold": 2,
                    "healthyThreshold": 1,
                },
                # Least-request balancing prefers an instance that fails fast, unless it is thrown out.
                "passive": {
                    "consecutive5XxErrors": 3,
                    "consecutiveGatewayErrors": 3,
                    "interval": "1s",
                    "baseEjectionTime": "2s",
                    "maxEjectionPercent": 75,
                    # Defaults, which the API server would fill in (objects.to_service).
                    "alwaysEjectOneEndpoint": False,
                    "consecutiveLocalOriginFailures": 5,
                    "splitExternalLocalOriginErrors": False,
                },
                # Never the address of nobody, which keeps this policy valid while there is no router (nowhere.py).
                "panicThreshold": 0,
            },
            "loadBalancer": {"type": "LeastRequest"},
            # Well below the message's own: where a node is gone without a word, there is time to ask another router.
            "timeout": {"tcp": {"connectTimeout": _seconds(limits.CONNECT)}},
            # A decision has no side effects, so it may be asked for again: once more than it takes to throw out the
            # instance that failed. At once: Envoy's own back-off for such calls begins at a second, and three of them
            # take longer than a decision may.
            "retry": {
                "numRetries": 3,
                "perRetry": {"backOff": {"baseInterval": "10ms", "maxInterval": "50ms"}},
                "retryOn": {"triggers": ["connect-failure", "refused-stream", "reset", "unavailable"]},
            },
        },
    }
    spec = {"targetSelectors": [_routes(plan, component) for component in components], "extProc": [processor]}
    return document(plan, API, "EnvoyExtensionPolicy", name, ROUTER, spec)


def backend_traffic_policies(plan: Plan) -> list[Document]:
    """How engines are spoken to, and how requests wait for a decision."""
    made = [
        # An override here holds only where an engine route is the first match: a client's header got that far.
        _backend_traffic_policy(
            plan, "engines", INFERENCE_ROUTE, _engine_traffic(plan) | {"responseOverride": [overrides.router_failed()]}
        ),
        _backend_traffic_policy(plan, "waiting", WAITING_ROUTE, _waiting_traffic(plan)),
        _backend_traffic_policy(plan, "models", MODELS_ROUTE, _nowhere_traffic(overrides.while_asking())),
    ]
    if plan.by_headers:
        made.append(_backend_traffic_policy(plan, "unread", UNREAD_ROUTE, _undecided_traffic(plan)))
    if plan.passthrough:
        made.append(_backend_traffic_policy(plan, "passthrough", PASSTHROUGH_ROUTE, _engine_traffic(plan)))
    return made


def _backend_traffic_policy(plan: Plan, suffix: str, component: str, settings: dict[str, Any]) -> Document:
    # Merged with the Gateway's own policy, where it has one: rate limits belong there.
    spec = {"targetSelectors": [_routes(plan, component)], "mergeType": "StrategicMerge", **settings}
    return document(plan, API, "BackendTrafficPolicy", child_name(plan.name, suffix), "engines", spec)


def _waiting_traffic(plan: Plan) -> dict[str, Any]:
    """The router is asked when a body is complete, so an upload that is slow or never comes costs it nothing.

    An upload without a byte for some seconds is given up; not so with a failure backend, whose answers come on this
    route too.
    """
    whole = {"requestBuffer": {"limit": quantity(plan.max_body_bytes)}}
    if plan.router.failure_backend is not None:
        return _engine_traffic(plan) | whole | {"responseOverride": overrides.while_reading(plan)}
    return _nowhere_traffic([*overrides.while_reading(plan), *overrides.while_asking()]) | whole


def _undecided_traffic(plan: Plan) -> dict[str, Any]:
    """For what is decided by its headers: no body is waited for, so that it may become a WebSocket."""
    answers = overrides.while_asking()
    return _engine_traffic(plan) if plan.router.failure_backend is not None else _nowhere_traffic(answers)


def _nowhere_traffic(answers: list[dict[str, Any]]) -> dict[str, Any]:
    """For a route that leads nowhere: it must not even be tried."""
    return {
        # 0: an address that doesn't serve stays out also where there is no other (Envoy's default is to use all then).
        "healthCheck": {"panicThreshold": 0},
        "timeout": {"http": {"requestTimeout": "0s", "streamIdleTimeout": _seconds(limits.IDLE_UPLOAD)}},
        "responseOverride": answers,
    }


def _engine_traffic(plan: Plan) -> dict[str, Any]:
    """Patiently, and never asked twice for what they may have begun."""
    return {
        "circuitBreaker": _circuit_breaker(),
        # Only failed connections count: an engine's 5xx (0: never) may be the request's fault. At most half of the
        # instances are thrown out, so a lone one never is.
        "healthCheck": {
            "passive": {
                "splitExternalLocalOriginErrors": True,
                "consecutiveLocalOriginFailures": 3,
                "consecutive5XxErrors": 0,
                "interval": "2s",
                "baseEjectionTime": "5s",
                "maxEjectionPercent": 50,
            }
        },
        "retry": {"numRetries": 2, "retryOn": {"triggers": ["connect-failure", "refused-stream"]}, **_per_try(plan)},
        "tcpKeepalive": {"idleTime": "60s", "interval": "10s", "probes": 3},
        "timeout": {
            "tcp": {"connectTimeout": "5s"},
            "http": {
                "requestTimeout": "0s",
                "streamIdleTimeout": _seconds(limits.SILENCE),
                "connectionIdleTimeout": _seconds(limits.KEEP_ALIVE),
            },
        },
    }


def _per_try(plan: Plan) -> dict[str, Any]:
    """The time until an answer must begin: the compiler sees to it that it is one for all backends."""
    bound = plan.backends[0].first_byte
    return {} if bound is None else {"perRetry": {"timeout": f"{bound * 1000:.0f}ms"}}


def _routes(plan: Plan, component: str) -> dict[str, Any]:
    return {"group": GATEWAY_API, "kind": "HTTPRoute", "matchLabels": selector_labels(plan, component)}


def _circuit_breaker() -> dict[str, int]:
    return {
        "maxConnections": limits.PARALLEL,
        "maxPendingRequests": limits.PARALLEL,
        "maxParallelRequests": limits.PARALLEL,
        "maxParallelRetries": 1024,
    }


def _seconds(value: float) -> str:
    """A duration as Gateway API writes it (GEP-2257)."""
    return f"{value:g}s"
