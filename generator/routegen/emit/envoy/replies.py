"""Envoy's own error replies, given OpenAI's shape (``local_reply_config``); docs/errors.md lists them.

The first mapper that matches wins, and only replies that Envoy makes come here, never an engine's. The router's
rejections are such replies too: the first mapper, which changes nothing, lets them through. A body never shows
Envoy's "response code details", which hold the router's error text.
"""

from __future__ import annotations

from envoy_data_plane.envoy.config.accesslog import v3 as accesslog
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.route import v3 as route
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as hcm
from envoy_data_plane.envoy.type.matcher import v3 as matcher
from envoy_data_plane.google.protobuf import Struct

from routegen.plan import Plan

from . import names

_AT_LEAST = accesslog.ComparisonFilterOp.GE
_EQUAL = accesslog.ComparisonFilterOp.EQ


def local_replies(plan: Plan) -> hcm.LocalReplyConfig:
    """Make the mappers, from the most particular to the most general."""
    undecided = _without_header(plan.routing_header)
    nowhere = _flags("UH", "NC")  # no endpoint, no cluster: what the waiting route leads to
    failed = _flags()  # any flag: Envoy failed to get an answer from upstream; the router's failures have none
    return hcm.LocalReplyConfig(
        mappers=[
            hcm.ResponseMapper(filter=_from_router()),
            _mapper(
                _status(413),
                "request_too_large",
                f"The request body is larger than this gateway accepts ({plan.max_body_bytes} bytes).",
            ),
            _mapper(_status(404), "not_found", "This gateway does not serve that path or method."),
            _mapper(_status(504), "gateway_timeout", "The router or the engine took too long to answer."),
            _mapper(_overloaded(), "gateway_overloaded", "The gateway is overloaded; try again later."),
            _mapper(_all(_status(503), undecided, nowhere), "route_not_set", "No engine was chosen for this request."),
            _mapper(_all(_status(503), failed), "engine_unavailable", "The chosen engine can't be reached."),
            _mapper(_status(503), "router_unavailable", "The gateway's router can't be reached or failed."),
            _mapper(_status(500, _AT_LEAST), "internal_error", "The gateway failed to handle the request."),
            _mapper(_status(400, _AT_LEAST), "bad_request", "The gateway refused the request."),
        ]
    )


def _mapper(condition: accesslog.AccessLogFilter, code: str, message: str) -> hcm.ResponseMapper:
    kind = "server_error" if code in _SERVER_ERRORS else "invalid_request_error"
    error = {"message": message.replace("%", "%%"), "type": kind, "param": None, "code": code}
    body = core.SubstitutionFormatString(
        json_format=Struct.from_dict({"error": error}), content_type="application/json"
    )
    return hcm.ResponseMapper(filter=condition, body_format_override=body)


_SERVER_ERRORS = frozenset(
    {
        "gateway_timeout",
        "gateway_overloaded",
        "route_not_set",
        "engine_unavailable",
        "router_unavailable",
        "internal_error",
    }
)


def _from_router() -> accesslog.AccessLogFilter:
    """Match the router's rejections: it marks them with the metadata ``reject``."""
    return accesslog.AccessLogFilter(
        metadata_filter=accesslog.MetadataFilter(
            matcher=matcher.MetadataMatcher(
                filter=names.METADATA,
                path=[matcher.MetadataMatcherPathSegment(key="reject")],
                value=matcher.ValueMatcher(present_match=True),
            ),
            match_if_key_not_found=False,
        )
    )


def _status(status: int, op: accesslog.ComparisonFilterOp = _EQUAL) -> accesslog.AccessLogFilter:
    value = core.RuntimeUInt32(default_value=status, runtime_key=f"routegen.local_reply.{status}")
    return accesslog.AccessLogFilter(
        status_code_filter=accesslog.StatusCodeFilter(comparison=accesslog.ComparisonFilter(op=op, value=value))
    )


def _flags(*flags: str) -> accesslog.AccessLogFilter:
    """Match any of these response flags; none given: any flag at all."""
    return accesslog.AccessLogFilter(response_flag_filter=accesslog.ResponseFlagFilter(flags=list(flags)))


def _overloaded() -> accesslog.AccessLogFilter:
    return _flags("OM")


def _without_header(name: str) -> accesslog.AccessLogFilter:
    header = route.HeaderMatcher(name=name, present_match=True, invert_match=True)
    return accesslog.AccessLogFilter(header_filter=accesslog.HeaderFilter(header=header))


def _all(*filters: accesslog.AccessLogFilter) -> accesslog.AccessLogFilter:
    return accesslog.AccessLogFilter(and_filter=accesslog.AndFilter(filters=list(filters)))
