"""Parts of a configuration, for a control plane that makes the rest and merges ours into it (target ``istio``).

All are messages of Envoy's, so a wrong field name or type fails here. There it would be dropped without a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from envoy_data_plane.envoy.config.cluster import v3 as cluster
from envoy_data_plane.envoy.config.common.mutation_rules import v3 as mutation_rules
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.listener import v3 as listener
from envoy_data_plane.envoy.config.route import v3 as route
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as hcm
from envoy_data_plane.envoy.extensions.http.early_header_mutation.header_mutation import v3 as early
from envoy_data_plane.envoy.extensions.request_id.uuid import v3 as uuid
from envoy_data_plane.envoy.type import v3 as envoy_type
from envoy_data_plane.envoy.type.matcher import v3 as matcher

from routegen.common.addresses import is_ip
from routegen.emit import limits
from routegen.plan import Addresses, Backend, Plan, PoolRef

from . import names
from .buffer_filter import buffer_filter, whole_body
from .listeners import remove_early
from .mappers import all_of, holds
from .messages import packed, plain, quote, seconds
from .replies import local_replies
from .router_filter import asked, router_filter

MANAGER: Final = "envoy.filters.network.http_connection_manager"


def http_filters(plan: Plan, router: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The filter that waits for the whole body, and the router's behind it; both are off until a route wants them.

    :param router: the cluster of the router.
    """
    return plain(buffer_filter(plan, _buffer(plan))), plain(router_filter(plan, _router(plan), router))


def connection_manager(plan: Plan) -> dict[str, Any]:
    """How requests are read before any route is looked at, on a listener that serves these routes alone."""
    underscores = core.HttpProtocolOptionsHeadersWithUnderscoresAction
    return _network_filter(
        hcm.HttpConnectionManager(
            early_header_mutation_extensions=[remove_early(plan, pools=_has_pools(plan))],
            common_http_protocol_options=core.HttpProtocolOptions(
                headers_with_underscores_action=underscores.DROP_HEADER
            ),
            path_with_escaped_slashes_action=hcm.HttpConnectionManagerPathWithEscapedSlashesAction.KEEP_UNCHANGED,
            preserve_external_request_id=True,
            request_id_extension=hcm.RequestIdExtension(
                typed_config=packed(uuid.UuidRequestIdConfig(pack_trace_reason=False))
            ),
            always_set_request_id_in_response=True,
            request_timeout=seconds(limits.UPLOAD),
            local_reply_config=_replies(plan),
        )
    )


def shared_connection_manager(plan: Plan, routes: Sequence[str]) -> dict[str, Any]:
    """The same where others' routes are served too: what clients may not send, and errors of our routes alone.

    :param routes: what the names of our routes begin with.
    """
    ours = " || ".join(f"xds.route_name.startsWith('{start}')" for start in routes)
    # Names with underscores are others' business, but x_inference_server goes with x-inference-server.
    spelt = "[-_]".join(map(quote, plan.routing_header.split("-")))
    copies = matcher.StringMatcher(safe_regex=matcher.RegexMatcher(regex=spelt))
    mutations = [
        mutation_rules.HeaderMutation(remove=plan.routing_header),
        mutation_rules.HeaderMutation(remove_on_match=mutation_rules.HeaderMutationRemoveOnMatch(key_matcher=copies)),
    ]
    removal = core.TypedExtensionConfig(
        name="envoy.http.early_header_mutation.header_mutation",
        typed_config=packed(early.HeaderMutation(mutations=mutations)),
    )
    return _network_filter(
        hcm.HttpConnectionManager(early_header_mutation_extensions=[removal], local_reply_config=_replies(plan, ours))
    )


def waiting_route(plan: Plan) -> dict[str, Any]:
    """Where a request waits for its body and its decision; it leads nowhere, or to the failure backend."""
    fallback = plan.router.failure_backend
    filters = whole_body(plan, _buffer(plan)) | asked(fail_open=fallback is not None, name=_router(plan))
    return plain(
        route.Route(
            route=_undecided(plan), typed_per_filter_config=filters, request_body_buffer_limit=plan.max_body_bytes
        )
    )


def unread_route(plan: Plan) -> dict[str, Any]:
    """Where a request is decided by its headers alone, and stays without a decision: nothing is buffered."""
    fallback = plan.router.failure_backend
    filters = asked(fail_open=fallback is not None, unread=True, name=_router(plan))
    return plain(route.Route(route=_undecided(plan), typed_per_filter_config=filters))


def models_route(plan: Plan) -> dict[str, Any]:
    """What the router answers."""
    return plain(route.Route(typed_per_filter_config=asked(name=_router(plan))))


def engine_route(plan: Plan, backend: Backend) -> dict[str, Any]:
    """Where a decided request goes; the router's filter is on here too: a header that slipped in is overwritten."""
    return plain(
        route.Route(
            route=_to_engine(backend),
            typed_per_filter_config=asked(name=_router(plan)),
            request_body_buffer_limit=plan.max_body_bytes,
        )
    )


def passthrough_route(backend: Backend) -> dict[str, Any]:
    """A request that reaches an engine unread."""
    return plain(route.Route(route=_to_engine(backend)))


def not_found_route() -> dict[str, Any]:
    """Everything else."""
    return plain(route.Route(direct_response=route.DirectResponseAction(status=404)))


def router_cluster() -> dict[str, Any]:
    """The router's cluster: one that hangs is left out; any healthy one is used alone, all of them where none is."""
    check = core.HealthCheck(
        timeout=seconds(1),
        interval=seconds(2),
        no_traffic_interval=seconds(2),
        unhealthy_threshold=2,
        healthy_threshold=1,
        grpc_health_check=core.HealthCheckGrpcHealthCheck(),
    )
    balancing = cluster.ClusterCommonLbConfig(
        healthy_panic_threshold=envoy_type.Percent(value=1), update_merge_window=seconds(0)
    )
    return plain(cluster.Cluster(health_checks=[check], common_lb_config=balancing))


def _has_pools(plan: Plan) -> bool:
    return any(isinstance(backend.reach, PoolRef) for backend in plan.backends)


def _without_picker(backend: Backend) -> Backend:
    """Which picker is asked, and what its answers mean, is the control plane's business."""
    pool = backend.reach
    return replace(backend, reach=replace(pool, picker=None)) if isinstance(pool, PoolRef) else backend


def _buffer(plan: Plan) -> str:
    return f"{names.BUFFER}/{plan.namespace}/{plan.name}"


def _router(plan: Plan) -> str:
    return f"{names.EXT_PROC}/{plan.namespace}/{plan.name}"


def _undecided(plan: Plan) -> route.RouteAction:
    """Where a request without a decision goes: an upload that stalls there is given up."""
    if plan.router.failure_backend is None:
        return route.RouteAction(idle_timeout=seconds(limits.IDLE_UPLOAD))
    return _to_engine(plan.backend(plan.router.failure_backend))


def _to_engine(backend: Backend) -> route.RouteAction:
    """For as long as it takes; tried again only where nothing can have been generated.

    Outside the cluster an engine may be known by its name alone.
    """
    outside = isinstance(backend.reach, Addresses) and any(not is_ip(host) for host, _ in backend.reach.endpoints)
    first_byte = None if backend.first_byte is None else seconds(backend.first_byte)
    return route.RouteAction(
        idle_timeout=seconds(limits.SILENCE),
        retry_policy=route.RetryPolicy(
            retry_on="connect-failure,refused-stream", num_retries=2, per_try_timeout=first_byte
        ),
        auto_host_rewrite=True if outside else None,
    )


def _network_filter(manager: hcm.HttpConnectionManager) -> dict[str, Any]:
    return plain(listener.Filter(name=MANAGER, typed_config=packed(manager)))


def _replies(plan: Plan, ours: str | None = None) -> hcm.LocalReplyConfig:
    """Envoy's own errors, as text: ``kubectl apply`` drops the nulls of a JSON format.

    :param ours: holds for the routes whose errors these are (CEL); ``None``: all are.
    """
    config = local_replies(replace(plan, backends=tuple(map(_without_picker, plan.backends))))
    for mapper in config.mappers:
        if ours is not None:
            assert mapper.filter is not None
            mapper.filter = all_of(holds(ours), mapper.filter)
        if (form := mapper.body_format_override) is not None:
            assert form.json_format is not None
            text = form.json_format.to_json().replace("%", "%%")
            mapper.body_format_override = core.SubstitutionFormatString(
                text_format_source=core.DataSource(inline_string=text), content_type=form.content_type
            )
    return config
