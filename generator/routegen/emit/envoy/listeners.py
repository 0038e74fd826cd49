"""Listeners: where clients connect, and how their requests are read before any route is looked at."""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.config.common.mutation_rules import v3 as mutation_rules
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.listener import v3 as listener
from envoy_data_plane.envoy.extensions.filters.http.router import v3 as proxy
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as hcm
from envoy_data_plane.envoy.extensions.http.early_header_mutation.header_mutation import v3 as early
from envoy_data_plane.envoy.extensions.request_id.uuid import v3 as uuid
from envoy_data_plane.envoy.type.matcher import v3 as matcher

from routegen.emit import limits
from routegen.plan import Listener, Plan

from . import memory, names
from .access_log import access_logs
from .buffer_filter import buffer_filter
from .cors import cors_filters
from .messages import packed, seconds, socket_address
from .picker_filter import FROM_CLIENTS, picker_filter
from .replies import local_replies
from .router_filter import router_filter
from .routes import route_configuration
from .tls import downstream_tls

_MIB: Final = 1 << 20


def listeners(plan: Plan, routes: core.ConfigSource | None = None) -> list[listener.Listener]:
    """Make the plan's listeners.

    :param routes: where Envoy reads the routes from; ``None``: they stand in the listener.
    """
    return [_listener(plan, entry, routes) for entry in plan.gateway.listeners]


def _listener(plan: Plan, entry: Listener, routes: core.ConfigSource | None) -> listener.Listener:
    manager = _connection_manager(plan)
    if routes is None:
        manager.route_config = route_configuration(plan)
    else:
        manager.rds = hcm.Rds(config_source=routes, route_config_name=names.ROUTES)
    chain = listener.FilterChain(
        filters=[listener.Filter(name="envoy.filters.network.http_connection_manager", typed_config=packed(manager))],
        transport_socket=None if entry.tls is None else downstream_tls(entry.tls),
    )
    return listener.Listener(
        name=entry.name,
        address=socket_address(entry.address, entry.port),
        filter_chains=[chain],
        per_connection_buffer_limit_bytes=memory.PIECE,
    )


def _connection_manager(plan: Plan) -> hcm.HttpConnectionManager:
    underscores = core.HttpProtocolOptionsHeadersWithUnderscoresAction
    return hcm.HttpConnectionManager(
        stat_prefix=names.ROUTES,
        use_remote_address=True,
        # Clients and engines log the same id, and the openai client shows it.
        preserve_external_request_id=True,
        request_id_extension=hcm.RequestIdExtension(
            # By itself Envoy writes a trace's reason into every id of 36 characters, which changes the client's.
            typed_config=packed(uuid.UuidRequestIdConfig(pack_trace_reason=False))
        ),
        always_set_request_id_in_response=True,
        normalize_path=True,
        merge_slashes=True,
        path_with_escaped_slashes_action=hcm.HttpConnectionManagerPathWithEscapedSlashesAction.KEEP_UNCHANGED,
        common_http_protocol_options=core.HttpProtocolOptions(
            idle_timeout=seconds(900),
            # x_inference_server and x-inference-server are one header to a CGI-style server.
            headers_with_underscores_action=underscores.DROP_HEADER,
        ),
        http2_protocol_options=core.Http2ProtocolOptions(
            max_concurrent_streams=256, initial_stream_window_size=_MIB, initial_connection_window_size=4 * _MIB
        ),
        request_headers_timeout=seconds(30),
        request_timeout=seconds(limits.UPLOAD),
        stream_idle_timeout=seconds(300),
        upgrade_configs=_upgrades(plan),
        early_header_mutation_extensions=[remove_early(plan, pools=bool(plan.pools))],
        local_reply_config=local_replies(plan),
        access_log=access_logs(plan),
        http_filters=[
            *cors_filters(plan),
            buffer_filter(plan),
            router_filter(plan),
            *([picker_filter()] if plan.pools else []),
            hcm.HttpFilter(
                name="envoy.filters.http.router", typed_config=packed(proxy.Router(suppress_envoy_headers=True))
            ),
        ],
    )


def remove_early(plan: Plan, *, pools: bool) -> core.TypedExtensionConfig:
    """Remove the client's routing header before the first routing, on every path: every copy, in any case.

    Removing it at the route would be too late, it would have chosen the route. ``x-envoy-*`` goes too: with those a
    client could ask for retries or timeouts of its own; where there are pools, so does what tells their pickers
    something.
    """
    mutations = [
        mutation_rules.HeaderMutation(remove=plan.routing_header),
        *(
            mutation_rules.HeaderMutation(
                remove_on_match=mutation_rules.HeaderMutationRemoveOnMatch(
                    key_matcher=matcher.StringMatcher(prefix=prefix, ignore_case=True)
                )
            )
            for prefix in ("x-envoy-", *(FROM_CLIENTS if pools else ()))
        ),
    ]
    return core.TypedExtensionConfig(
        name="envoy.http.early_header_mutation.header_mutation",
        typed_config=packed(early.HeaderMutation(mutations=mutations)),
    )


def _upgrades(plan: Plan) -> list[hcm.HttpConnectionManagerUpgradeConfig]:
    """WebSockets, only where a route switches them on."""
    if not plan.passthrough and not plan.by_headers:
        return []
    return [hcm.HttpConnectionManagerUpgradeConfig(upgrade_type="websocket", enabled=False)]
