"""The route configuration: waiting routes, engine routes, the model list, and everything else.

A request on an inference path first matches the *waiting* route, because its routing header was removed before
routing. The router's filter reads the body there and sets the header; Envoy then routes again, to an *engine*
route. Nobody reaches an engine route without the router, and a request without a decision stays on the waiting
route, which leads nowhere (503). It must be a route to a cluster without endpoints: a direct response there would
lose ``request_body_buffer_limit``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import cache

from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.route import v3 as route
from envoy_data_plane.envoy.extensions.retry.host.previous_hosts import v3 as previous_hosts
from envoy_data_plane.envoy.type.matcher import v3 as matcher
from envoy_data_plane.google.protobuf import Any
from envoy_data_plane.xds.type.matcher.v3 import Matcher, MatcherOnMatch

from routegen.common.addresses import is_ip
from routegen.emit import limits
from routegen.plan import MODELS_PATH, READING, Backend, Failover, Passthrough, Plan, PoolRef

from . import matching, names, router_filter
from .buffer_filter import whole_body
from .clusters import hosts
from .cors import cors_policy, preflight_routes, readable
from .messages import exact, one_of, packed, seconds, set_header
from .mirrors import mirroring, removed_from_clients
from .picker_filter import asks_picker
from .picker_limits import with_limit


def route_configuration(plan: Plan) -> route.RouteConfiguration:
    """Make the routes."""
    return route.RouteConfiguration(
        name=names.ROUTES,
        ignore_port_in_host_matching=True,
        virtual_hosts=[
            route.VirtualHost(
                name=names.ROUTES,
                domains=list(plan.gateway.hostnames) or ["*"],
                # The first is Envoy's own addition.
                request_headers_to_remove=["x-envoy-external-address", *removed_from_clients(plan)],
                # The response says which backend answered: never the engine's own copy, and nothing where nothing
                # was decided (an empty value adds no header).
                response_headers_to_remove=[plan.routing_header],
                response_headers_to_add=[set_header(plan.routing_header, names.ANSWERED)],
                matcher=_matcher(plan),
                typed_per_filter_config=cors_policy(plan),
            )
        ],
    )


def _matcher(plan: Plan) -> Matcher | None:
    """A POST on one of ``paths``: an engine's route, or the waiting one. Everything else: the first that matches."""
    by_name = {backend.name: backend for backend in plan.backends}
    engines = {
        name: _decided(plan, backend, [by_name[second] for second in backend.seconds])
        for name, backend in by_name.items()
    }
    inference = matching.both(matching.is_method("POST"), matching.is_path(plan.paths))
    undecided = matching.to_first("undecided", [*readable(plan, _too_large_route(plan)), _waiting_route(plan)])
    decided = matching.by_header(plan.routing_header, engines, otherwise=undecided)
    others = [
        *preflight_routes(plan),
        _answered_route(plan, "models", route.RouteMatch(path=MODELS_PATH), *READING),
        _answered_route(plan, "model", route.RouteMatch(prefix=f"{MODELS_PATH}/"), *READING),
        *(_passthrough_route(plan, entry) for entry in plan.passthrough),
        *_health_routes(plan),
        *readable(plan, _not_found_route()),
    ]
    cases = [(inference, decided)]
    if plan.by_headers:
        opened = matching.any_of([matching.is_opened(entry) for entry in plan.by_headers])
        cases.append((opened, _by_headers(plan)))
    return matching.first_of(*cases, otherwise=matching.to_first("others", others)).matcher


def _by_headers(plan: Plan) -> MatcherOnMatch:
    """Where requests are decided whose bodies nobody reads, and where they go: nothing is buffered."""
    engines = {backend.name: matching.to(_unread_route(backend)) for backend in plan.backends}
    return matching.by_header(plan.routing_header, engines, otherwise=matching.to(_undecided_route(plan)))


def _unread_route(backend: Backend) -> route.Route:
    """Where a request goes that was decided by its headers; it may become a WebSocket."""
    return route.Route(
        name=names.engine(backend.name),
        route=_open(_to_engine(backend)),
        typed_per_filter_config=router_filter.asked(unread=True),
        request_body_buffer_limit=limits.SENT_AGAIN,
    )


def _undecided_route(plan: Plan) -> route.Route:
    """Where a request is decided by its headers, and stays without a decision."""
    fallback = plan.router.failure_backend
    if fallback is None:
        action = route.RouteAction(cluster=names.WAITING, timeout=seconds(0), idle_timeout=seconds(limits.IDLE_UPLOAD))
    else:
        action = _to_engine(plan.backend(fallback))
    return route.Route(
        name=names.WAITING,
        route=_open(action),
        request_headers_to_add=[] if fallback is None else [set_header(plan.routing_header, fallback)],
        typed_per_filter_config=router_filter.asked(fail_open=fallback is not None, unread=True),
        request_body_buffer_limit=limits.SENT_AGAIN,
    )


def _open(action: route.RouteAction) -> route.RouteAction:
    """The action, WebSockets included: Envoy asks the first route that matches, so each route on the way says so."""
    action.upgrade_configs = [route.RouteActionUpgradeConfig(upgrade_type="websocket", enabled=True)]
    return action


def _decided(plan: Plan, backend: Backend, seconds: Sequence[Backend]) -> MatcherOnMatch:
    """Where a request goes that was decided for ``backend``; with the second choice that the router named, if any."""
    alone = _engine_route(plan, backend)
    alone.match = route.RouteMatch(prefix="/")
    pairs = [_pair_route(plan, backend, second) for second in seconds]
    routes = with_limit(plan, backend, [*pairs, alone])
    return matching.to_first(names.engine(backend.name), routes) if len(routes) > 1 else matching.to(alone)


def _pair_route(plan: Plan, backend: Backend, second: Backend) -> route.Route:
    """As :func:`_engine_route`, to both: another attempt goes to the second one.

    Which one is told by the router's dynamic metadata, that no client can set.
    """
    told = matcher.MetadataMatcher(
        filter=names.METADATA,
        path=[matcher.MetadataMatcherPathSegment(key="second")],
        value=matcher.ValueMatcher(string_match=exact(second.name)),
    )
    made = _engine_route(plan, backend)
    made.name = names.pair(backend.name, second.name)
    made.match = route.RouteMatch(prefix="/", dynamic_metadata=[told])
    assert made.route is not None
    made.request_body_buffer_limit = plan.max_body_bytes
    made.route.cluster = made.name
    made.route.auto_host_rewrite = _host_rewrite(backend, second)
    made.route.retry_policy = _second_attempt(plan.failover, backend.first_byte)
    return made


@cache
def _second_attempt(failover: Failover, first_byte: float | None) -> route.RetryPolicy:
    """One more attempt, at once, which the cluster sends to the second engine."""
    causes = ["connect-failure", "refused-stream", *(["reset"] if failover.reset else [])]
    return route.RetryPolicy(
        retry_on=",".join([*causes, *(["retriable-status-codes"] if failover.statuses else [])]),
        retriable_status_codes=list(failover.statuses),
        num_retries=1,
        per_try_timeout=_until_first_byte(first_byte),
        retry_back_off=route.RetryPolicyRetryBackOff(base_interval=seconds(0.001), max_interval=seconds(0.01)),
    )


def _engine_route(plan: Plan, backend: Backend) -> route.Route:
    """Where a decided request goes. The router's filter is on here too: a header that slipped in is overwritten.

    The limit is no bound on bodies, which are complete by now: what is longer is sent once, and not kept.
    """
    others = len(hosts(backend)) > 1 or isinstance(backend.reach, PoolRef)  # a picker reads the body here, too
    kept = plan.max_body_bytes if others else min(limits.SENT_AGAIN, plan.max_body_bytes)
    action = _to_engine(backend)
    action.request_mirror_policies = mirroring(plan, backend)
    return route.Route(
        name=names.engine(backend.name),
        route=action,
        typed_per_filter_config=router_filter.asked() | asks_picker(backend),
        request_body_buffer_limit=kept,
    )


def _too_large_route(plan: Plan) -> route.Route:
    """413 for a body that is announced as too long: on the waiting route it would first have to arrive."""
    return route.Route(
        name="too-large",
        match=route.RouteMatch(prefix="/", headers=[matching.longer_than(plan.max_body_bytes)]),
        direct_response=route.DirectResponseAction(status=413),
    )


def _waiting_route(plan: Plan) -> route.Route:
    """Where a request waits for its body and then for its decision, and stays without one.

    An upload without a byte for some seconds is given up. Not so where there is a failure backend: its silence would
    be cut short too, for then its answers come on this route.
    """
    fallback = plan.router.failure_backend
    headers: list[core.HeaderValueOption] = []
    picking: dict[str, Any] = {}
    if fallback is None:
        action = route.RouteAction(cluster=names.WAITING, timeout=seconds(0), idle_timeout=seconds(limits.IDLE_UPLOAD))
    else:
        action = _to_engine(plan.backend(fallback))
        headers = [set_header(plan.routing_header, fallback)]
        picking = asks_picker(plan.backend(fallback))
    return route.Route(
        name=names.WAITING,
        match=route.RouteMatch(prefix="/"),
        route=action,
        request_headers_to_add=headers,
        typed_per_filter_config=whole_body(plan) | router_filter.asked(fail_open=fallback is not None) | picking,
        request_body_buffer_limit=plan.max_body_bytes,
    )


def _answered_route(plan: Plan, name: str, match: route.RouteMatch, *methods: str) -> route.Route:
    """Answered by the router; what stands behind it is seen only where the router gave no answer."""
    match.headers.append(_method(*methods))
    made = route.Route(name=name, match=match, typed_per_filter_config=router_filter.asked())
    if plan.cors is None:
        made.direct_response = route.DirectResponseAction(status=503)
    else:  # Envoy puts no CORS headers on what is answered in place of a direct response
        made.route = route.RouteAction(cluster=names.WAITING)
    return made


def _health_routes(plan: Plan) -> list[route.Route]:
    methods: dict[str, list[str]] = {}
    for method, path in plan.health_checks:
        methods.setdefault(path, []).append(method)
    return [_answered_route(plan, "health", route.RouteMatch(path=path), *by) for path, by in methods.items()]


def _passthrough_route(plan: Plan, entry: Passthrough) -> route.Route:
    """A request that reaches an engine unread, WebSockets included."""
    if entry.prefix is None:
        match = route.RouteMatch(path=entry.path)
    else:
        # Envoy takes no empty path_separated_prefix.
        match = route.RouteMatch(path_separated_prefix=entry.prefix) if entry.prefix else route.RouteMatch(prefix="/")
        # An encoded slash or backslash stays as it is in paths; an engine that decodes it would leave the prefix.
        encoded = matcher.StringMatcher(safe_regex=matcher.RegexMatcher(regex=matching.ENCODED))
        match.headers.append(route.HeaderMatcher(name=":path", string_match=encoded, invert_match=True))
    match.headers.insert(0, _method(entry.method))
    return route.Route(
        name=f"passthrough{entry.path}",
        match=match,
        route=_open(_to_engine(plan.backend(entry.backend))),
        request_headers_to_add=[set_header(plan.routing_header, entry.backend)],
        request_body_buffer_limit=limits.SENT_AGAIN,
    )


def _not_found_route() -> route.Route:
    return route.Route(
        name="not-found", match=route.RouteMatch(prefix="/"), direct_response=route.DirectResponseAction(status=404)
    )


def _to_engine(backend: Backend) -> route.RouteAction:
    """Proxy to one backend, for as long as it takes; tried again only where nothing can have been generated."""
    return route.RouteAction(
        cluster=names.engine(backend.name),
        timeout=seconds(0),
        idle_timeout=seconds(limits.SILENCE),
        auto_host_rewrite=_host_rewrite(backend),
        retry_policy=_another_host(backend.first_byte),
    )


def _host_rewrite(*backends: Backend) -> bool | None:
    """Whether an endpoint's own name is put into ``host``: where it has one."""
    return True if any(not is_ip(host) for backend in backends for host, _ in hosts(backend)) else None


@cache  # the same for every engine, and making it takes a while
def _another_host(first_byte: float | None) -> route.RetryPolicy:
    elsewhere = route.RetryPolicyRetryHostPredicate(
        name="envoy.retry_host_predicates.previous_hosts", typed_config=packed(previous_hosts.PreviousHostsPredicate())
    )
    return route.RetryPolicy(
        retry_on="connect-failure,refused-stream",
        num_retries=2,
        host_selection_retry_max_attempts=3,
        retry_host_predicate=[elsewhere],
        per_try_timeout=_until_first_byte(first_byte),
    )


def _until_first_byte(first_byte: float | None) -> dt.timedelta | None:
    """A bound on each attempt; once the answer has begun, Envoy passes it over (``onPerTryTimeout``).

    It tries again for it only where ``retry_on`` names resets, which the compiler refuses beside it.
    """
    return None if first_byte is None else seconds(first_byte)


def _method(*methods: str) -> route.HeaderMatcher:
    if len(methods) == 1:
        return route.HeaderMatcher(name=":method", string_match=exact(methods[0]))
    return route.HeaderMatcher(name=":method", string_match=matcher.StringMatcher(safe_regex=one_of(methods)))
