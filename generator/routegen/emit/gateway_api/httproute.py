"""HTTPRoutes: which requests wait for a decision, and where each decision leads.

Gateway API ranks matches by path, then method, then the number of headers (HTTPRouteRule, "Matches"). So engine
routes repeat the waiting route's path and method and add the routing header: with the header they win, without it the
request waits. Each backend has its own HTTPRoute, because a rule's index is part of the name of the cluster
that Envoy Gateway makes of it: adding a backend must not touch the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from routegen.emit.kubernetes.objects import (
    INFERENCE_ROUTE,
    MODELS_ROUTE,
    PASSTHROUGH_ROUTE,
    UNREAD_ROUTE,
    WAITING_ROUTE,
    Document,
    child_name,
    document,
)
from routegen.plan import MODELS_PATH, READING, Backend, Passthrough, Plan
from routegen_router.request import Opened

MAX_RULE_MATCHES: Final = 64
MAX_ROUTE_MATCHES: Final = 128
"""Over all rules of an HTTPRoute; both limits are Gateway API's (HTTPRouteRule, HTTPRouteSpec)."""

Refs = Sequence[dict[str, Any]]
"""``backendRefs`` of a rule."""
Action = dict[str, Any]
"""What a rule does with what it matches: ``filters`` and ``backendRefs``."""
Match = dict[str, Any]


def engine_routes(plan: Plan, backend: Backend, refs: Refs, answered: str) -> list[Document]:
    """The routes of requests that were decided for ``backend``.

    :param answered: the response header's value, which names the backend: the gateway's expression for what the router
        decided. The backend's own name would be there also where a client's routing header led here and the router, or
        a filter in front of it, refused the request.
    """
    header = {"type": "Exact", "name": plan.routing_header, "value": backend.name}
    matches = [_exact(path, "POST") | {"headers": [header]} for path in plan.paths]
    matches += [_opened(entry) | {"headers": [header]} for entry in plan.by_headers]
    # Removed first: where nothing was decided nothing is set, and an engine's own copy must not get through either.
    filters = [_response(set=[{"name": plan.routing_header, "value": answered}], remove=[plan.routing_header])]
    name = child_name(plan.name, "to", backend.name)
    return _routes(plan, name, INFERENCE_ROUTE, matches, {"filters": filters, **_forward(refs)})


def waiting_routes(plan: Plan, refs: Refs, refuse: Action) -> list[Document]:
    """The routes where a request waits for its decision, and ends if there is none.

    :param refs: where it goes then (``failure: {backend: …}``); empty: nowhere.
    :param refuse: how the target answers it then.
    """
    # With `failure` no response header is set: it names the backend that was decided for, and here nothing was.
    action = {"filters": _anonymous(plan), **_forward(refs)} if refs else refuse
    matches = [_exact(path, "POST") for path in plan.paths]
    return _routes(plan, child_name(plan.name, "waiting"), WAITING_ROUTE, matches, action)


def unread_routes(plan: Plan, refs: Refs, refuse: Action) -> list[Document]:
    """As :func:`waiting_routes`, for what is decided by headers and query alone."""
    action = {"filters": _anonymous(plan), **_forward(refs)} if refs else refuse
    matches = [_opened(entry) for entry in plan.by_headers]
    return _routes(plan, child_name(plan.name, "waiting", "unread"), UNREAD_ROUTE, matches, action)


def models_routes(plan: Plan, refuse: Action) -> list[Document]:
    """The route of what the router answers: ``GET /v1/models`` and ``/v1/models/{id}``, and health checks.

    :param refuse: how the target answers where the router doesn't.
    """
    # A path prefix matches whole segments: /v1/models and /v1/models/x, not /v1/modelsx.
    path = {"type": "PathPrefix", "value": MODELS_PATH}
    matches = [{"path": path, "method": method} for method in READING]
    matches += [_exact(checked, method) for method, checked in plan.health_checks]
    return _routes(plan, child_name(plan.name, "models"), MODELS_ROUTE, matches, refuse)


def passthrough_routes(plan: Plan, backend: Backend, refs: Refs, opened: Sequence[Passthrough]) -> list[Document]:
    """The routes of what reaches ``backend`` unread."""
    matches = [_opened(entry) for entry in opened]
    name = child_name(plan.name, "passthrough", backend.name)
    return _routes(plan, name, PASSTHROUGH_ROUTE, matches, {"filters": _anonymous(plan), **_forward(refs)})


def not_found_routes(plan: Plan, refuse: Action) -> list[Document]:
    """The route of everything else, which the target answers by ``refuse``."""
    match = {"path": {"type": "PathPrefix", "value": "/"}}
    return _routes(plan, child_name(plan.name, "not-found"), "not-found-route", [match], refuse)


def _routes(plan: Plan, name: str, component: str, matches: Sequence[Match], action: Action) -> list[Document]:
    """As many HTTPRoutes as Gateway API's limits ask for: ``name``, ``name.2``, …; nearly always one."""
    routes = []
    for index, part in enumerate(_chunks(matches, MAX_ROUTE_MATCHES), start=1):
        spec: dict[str, Any] = {"parentRefs": [to_gateway(plan)]}
        if plan.gateway.hostnames:
            spec["hostnames"] = list(plan.gateway.hostnames)
        spec["rules"] = [{"matches": chunk, **action} for chunk in _chunks(part, MAX_RULE_MATCHES)]
        full_name = name if index == 1 else f"{name}.{index}"
        routes.append(document(plan, "gateway.networking.k8s.io/v1", "HTTPRoute", full_name, component, spec))
    return routes


def to_gateway(plan: Plan) -> dict[str, str]:
    """The reference to the Gateway, with what the API server would fill in."""
    place = {"name": plan.gateway.name, "namespace": plan.gateway.namespace}
    return {"group": "gateway.networking.k8s.io", "kind": "Gateway", **place}


def _chunks(matches: Sequence[Match], size: int) -> list[list[Match]]:
    return [list(matches[start : start + size]) for start in range(0, len(matches), size)]


def _exact(path: str, method: str) -> Match:
    return {"path": {"type": "Exact", "value": path}, "method": method}


def _opened(entry: Opened) -> Match:
    if entry.prefix is None:
        return _exact(entry.path, entry.method)
    return {"path": {"type": "PathPrefix", "value": entry.prefix or "/"}, "method": entry.method}


def _forward(refs: Refs) -> Action:
    # 0s: no limit; a long generation may take minutes. BackendTrafficPolicy bounds the silence instead.
    return {"backendRefs": list(refs), "timeouts": {"request": "0s"}}


def _anonymous(plan: Plan) -> list[dict[str, Any]]:
    """Let neither the client's nor the engine's copy of the routing header through."""
    modifier = {"remove": [plan.routing_header]}
    return [{"type": "RequestHeaderModifier", "requestHeaderModifier": modifier}, _response(**modifier)]


def _response(**change: Sequence[Any]) -> dict[str, Any]:
    return {"type": "ResponseHeaderModifier", "responseHeaderModifier": dict(change)}
