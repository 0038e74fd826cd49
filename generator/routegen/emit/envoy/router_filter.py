"""The filter that asks the router: Envoy's external processor, and its settings for a single route."""

from __future__ import annotations

from functools import cache
from typing import Final

from envoy_data_plane.envoy.config.common.mutation_rules import v3 as mutation_rules
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.route import v3 as route
from envoy_data_plane.envoy.extensions.filters.http.ext_proc import v3 as ext_proc
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as hcm
from envoy_data_plane.envoy.extensions.retry.host.previous_hosts import v3 as previous_hosts
from envoy_data_plane.envoy.type import v3 as envoy_type
from envoy_data_plane.envoy.type.matcher import v3 as matcher
from envoy_data_plane.google.protobuf import Any

from routegen.emit import limits
from routegen.plan import Plan
from routegen_router.config import reads

from . import names
from .messages import exact, one_of, packed, seconds

ANSWER_HEADERS: Final = ("content-type", "retry-after")
"""Headers that the router's own answers carry: mutation rules apply to those answers too."""

BODY_HEADERS: Final = ("content-length", "content-encoding")
"""Headers that change with the body: a body that comes with a coding is forwarded without."""

FORWARDED_HEADERS: Final = (
    ":method",
    ":path",
    "content-type",
    "content-encoding",
    "content-length",
    "x-request-id",
)
"""What the router sees of each request beside the headers that rules read; never credentials."""


def router_filter(plan: Plan, name: str = names.EXT_PROC, cluster: str = names.ROUTER_CLUSTER) -> hcm.HttpFilter:
    """Make the filter: the whole body is buffered, the request's two messages are sent, the response's none.

    It is off until a route switches it on (see :func:`asked`): a request whose host or method matches no route at all
    would otherwise reach the router.

    :param name: what routes know it by.
    :param cluster: where the router is.
    """
    keys = ["authorization"] if plan.sends_keys else []
    allowed = sorted({*ANSWER_HEADERS, *BODY_HEADERS, plan.routing_header, *keys})
    forwarded = (*FORWARDED_HEADERS, *sorted(reads(plan.rules).headers - {*FORWARDED_HEADERS}))
    config = ext_proc.ExternalProcessor(
        grpc_service=core.GrpcService(
            envoy_grpc=core.GrpcServiceEnvoyGrpc(cluster_name=cluster),
            retry_policy=retry_policy(),
        ),
        # The header mutation of the body's reply needs SEND here; responses never go through the router.
        processing_mode=_mode(ext_proc.ProcessingModeBodySendMode.BUFFERED),
        message_timeout=seconds(limits.DECISION),
        status_on_error=envoy_type.HttpStatus(code=envoy_type.StatusCode.ServiceUnavailable),
        mutation_rules=mutation_rules.HeaderMutationRules(
            disallow_all=True,
            allow_expression=matcher.RegexMatcher(regex=f"^({one_of(tuple(allowed)).regex})$"),
        ),
        forward_rules=ext_proc.HeaderForwardingRules(
            allowed_headers=matcher.ListStringMatcher(patterns=[exact(name) for name in forwarded])
        ),
        metadata_options=ext_proc.MetadataOptions(
            receiving_namespaces=ext_proc.MetadataOptionsMetadataNamespaces(untyped=[names.METADATA])
        ),
    )
    return hcm.HttpFilter(name=name, typed_config=packed(config), disabled=True)


@cache  # on every route, and making it takes a while
def asked(*, fail_open: bool = False, unread: bool = False, name: str = names.EXT_PROC) -> dict[str, Any]:
    """Per-route settings: the router is asked.

    :param fail_open: where the router fails, the request goes on to the route's own cluster.
    :param unread: it is asked about the headers alone.
    :param name: the filter's.
    """
    return {name: _asked(fail_open, unread)}


@cache
def _asked(fail_open: bool, unread: bool) -> Any:
    overrides = ext_proc.ExtProcOverrides(
        failure_mode_allow=True if fail_open else None,
        processing_mode=_mode(ext_proc.ProcessingModeBodySendMode.NONE) if unread else None,
    )
    settings = ext_proc.ExtProcPerRoute(overrides=overrides)
    return packed(route.FilterConfig(config=packed(settings)))


def _mode(request_body: ext_proc.ProcessingModeBodySendMode) -> ext_proc.ProcessingMode:
    skip = ext_proc.ProcessingModeHeaderSendMode.SKIP
    return ext_proc.ProcessingMode(
        request_header_mode=ext_proc.ProcessingModeHeaderSendMode.SEND,
        request_body_mode=request_body,
        request_trailer_mode=skip,
        response_header_mode=skip,
        response_body_mode=ext_proc.ProcessingModeBodySendMode.NONE,
        response_trailer_mode=skip,
    )


def retry_policy() -> core.RetryPolicy:
    """Try another worker, or picker. Deciding has no side effects, so a reset is safe to retry as well.

    This is the policy of ``grpc_service``: the one inside ``envoy_grpc`` is ignored.
    """
    return core.RetryPolicy(
        retry_on="connect-failure,refused-stream,reset,unavailable",
        num_retries=2,
        retry_back_off=core.BackoffStrategy(base_interval=seconds(0.01), max_interval=seconds(0.05)),
        host_selection_retry_max_attempts=3,
        retry_host_predicate=[
            core.RetryPolicyRetryHostPredicate(
                name="envoy.retry_host_predicates.previous_hosts",
                typed_config=packed(previous_hosts.PreviousHostsPredicate()),
            )
        ],
    )
