"""Copies of requests: Envoy sends them along with the original, and throws their answers away.

An engine that hangs would hold copies for ever, and one that doesn't read would hold their bodies: so each mirror is a
cluster of its own, with a time for each copy and a bound on their number. Beyond it no copy is made. What these
clusters find out of an engine never counts for those that answer.
"""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.config.cluster import v3 as cluster
from envoy_data_plane.envoy.config.common.mutation_rules import v3 as mutation_rules
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.route import v3 as route
from envoy_data_plane.envoy.extensions.upstreams.http import v3 as upstreams
from envoy_data_plane.envoy.type import v3 as envoy_type
from envoy_data_plane.envoy.type.matcher import v3 as matcher

from routegen.common.addresses import is_ip
from routegen.emit import limits
from routegen.plan import Backend, Plan

from . import names
from .clusters import hosts, spread_over
from .messages import packed, seconds, set_header, socket_address
from .tls import upstream_tls

COPY_OF: Final = "x-routegen-mirror-of"
"""The header by which a copy names itself: the backend that answers. Nobody else's gets through."""

CREDENTIALS: Final = (
    r"([^:].*)?(assertion|auth|cert|cookie|credential|jwt|key|oidc|pass|secret|session|signature|token).*"
)
"""Headers that no copy carries, by their names: a client shows its credentials to the engine that answers it.

Rather too many than one too few; ``:authority`` is none of them."""

_MILLIONTHS: Final = 10_000
"""Of one percent."""


def mirror_clusters(plan: Plan) -> list[cluster.Cluster]:
    """Make the cluster of each mirror, in the order of routes.yaml."""
    return [_cluster(plan, backend) for backend in plan.backends if backend.mirror is not None]


def mirroring(plan: Plan, backend: Backend) -> list[route.RouteActionRequestMirrorPolicy]:
    """Which of a backend's requests are copied, and what is different in a copy."""
    if backend.mirror is None:
        return []
    names_of_copies = [set_header(COPY_OF, backend.name), set_header(plan.routing_header, backend.mirror.to)]
    secret = matcher.StringMatcher(safe_regex=matcher.RegexMatcher(regex=CREDENTIALS))
    without = mutation_rules.HeaderMutation(
        remove_on_match=mutation_rules.HeaderMutationRemoveOnMatch(key_matcher=secret)
    )
    share = envoy_type.FractionalPercent(
        numerator=max(1, round(backend.mirror.percent * _MILLIONTHS)),
        denominator=envoy_type.FractionalPercentDenominatorType.MILLION,
    )
    return [
        route.RouteActionRequestMirrorPolicy(
            cluster=names.mirror(backend.name),
            runtime_fraction=core.RuntimeFractionalPercent(default_value=share),
            disable_shadow_host_suffix_append=True,
            host_rewrite_literal=_host(plan.backend(backend.mirror.to)),
            request_headers_mutations=[
                without,
                *(mutation_rules.HeaderMutation(append=header) for header in names_of_copies),
            ],
        )
    ]


def removed_from_clients(plan: Plan) -> list[str]:
    """What a client may not send, since engines take it for a copy's."""
    return [COPY_OF] if any(backend.mirror is not None for backend in plan.backends) else []


def _host(engine: Backend) -> str:
    """The engine's own name, where it has one name and no other; a copy is not given its endpoint's."""
    named = {host for host, _ in hosts(engine) if not is_ip(host)}
    return named.pop() if len(named) == 1 else ""


def _cluster(plan: Plan, backend: Backend) -> cluster.Cluster:
    """The engine once more, without health checks: a copy that finds nobody is lost, and nobody misses it."""
    assert backend.mirror is not None
    engine, most = plan.backend(backend.mirror.to), backend.mirror.at_once
    protocol = upstreams.HttpProtocolOptions(
        common_http_protocol_options=core.HttpProtocolOptions(
            idle_timeout=seconds(limits.KEEP_ALIVE), max_stream_duration=seconds(backend.mirror.timeout)
        ),
        explicit_http_config=upstreams.HttpProtocolOptionsExplicitHttpConfig(
            http_protocol_options=core.Http1ProtocolOptions()
        ),
    )
    addresses = [socket_address(host, port) for host, port in hosts(engine)]
    made = spread_over(names.mirror(backend.name), addresses, connect_timeout=limits.CONNECT, protocol=packed(protocol))
    # What waits for a connection counts as well as what is on its way.
    bounds = cluster.CircuitBreakersThresholds(max_connections=2 * most, max_pending_requests=most, max_requests=most)
    made.circuit_breakers = cluster.CircuitBreakers(thresholds=[bounds])
    if engine.tls is not None:
        made.transport_socket = upstream_tls(engine.tls, tuple(host for host, _ in hosts(engine)))
    return made
