"""Envoy's own error replies, given OpenAI's shape (``local_reply_config``); docs/errors.md lists them.

The first mapper that matches wins, and only replies that Envoy makes come here, never an engine's. The router's
rejections are such replies too: the first mapper, which changes nothing, lets them through. A body never shows
Envoy's "response code details", which hold the router's error text.
"""

from __future__ import annotations

import dataclasses

from envoy_data_plane.envoy.config.accesslog import v3 as accesslog
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.route import v3 as route
from envoy_data_plane.envoy.extensions.access_loggers.filters.cel import v3 as cel
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as hcm
from envoy_data_plane.envoy.type.matcher import v3 as matcher
from envoy_data_plane.google.protobuf import Struct

from routegen.emit.refusals import (
    BAD_REQUEST,
    GATEWAY_TIMEOUT,
    NOT_FOUND,
    ROUTE_NOT_SET,
    ROUTER_UNAVAILABLE,
    UPLOAD_STALLED,
)
from routegen.plan import Plan
from routegen_router.answers import error_document
from routegen_router.refusals import Reject, too_large

from . import names
from .messages import packed

_AT_LEAST = accesslog.ComparisonFilterOp.GE
_EQUAL = accesslog.ComparisonFilterOp.EQ


def local_replies(plan: Plan) -> hcm.LocalReplyConfig:
    """Make the mappers, from the most particular to the most general."""
    undecided = _without_header(plan.routing_header)
    nowhere = _flags("UH", "NC")  # no endpoint, no cluster: what the waiting route leads to
    failed = _flags()  # any flag: Envoy failed to get an answer from upstream; the router's failures have none
    full = "As many requests as this gateway holds for one engine are waiting for the chosen one; try again later."
    gone = "The chosen engine can't be reached, or closed the connection before it answered."
    broken = "The chosen engine's answer can't be used: it is not valid HTTP, or its headers are too large or cut off."
    pressed = "The gateway has no memory left for this request; try again later."
    failing = Reject(500, "internal_error", "The gateway failed to handle the request.")
    return hcm.LocalReplyConfig(
        mappers=[
            hcm.ResponseMapper(filter=_from_router()),
            _mapper(too_large(plan.max_body_bytes)),
            _mapper(UPLOAD_STALLED),
            _mapper(NOT_FOUND),
            _mapper(GATEWAY_TIMEOUT),
            _mapper(ROUTE_NOT_SET, undecided, nowhere),
            _mapper(Reject(503, "engine_overloaded", full), _flags("UO")),
            _mapper(Reject(503, "engine_unavailable", gone), failed),
            _mapper(ROUTER_UNAVAILABLE),
            _mapper(Reject(502, "engine_failed", broken)),
            _shed(Reject(503, "gateway_overloaded", pressed)),
            _mapper(failing, op=_AT_LEAST),
            _mapper(BAD_REQUEST, op=_AT_LEAST),
        ]
    )


def _mapper(
    reject: Reject, *conditions: accesslog.AccessLogFilter, op: accesslog.ComparisonFilterOp = _EQUAL
) -> hcm.ResponseMapper:
    """Give replies of this status, where all ``conditions`` hold too, this error as their body."""
    status = _status(reject.status, op)
    return hcm.ResponseMapper(
        filter=_all(status, *conditions) if conditions else status,
        body_format_override=core.SubstitutionFormatString(
            json_format=Struct.from_dict(error_document(reject)), content_type="application/json"
        ),
    )


def _shed(reject: Reject) -> hcm.ResponseMapper:
    """What is shed for lack of memory is 500 to Envoy, and told from other failures by its details alone."""
    expression = cel.ExpressionFilter(expression="response.code_details == 'overload'")
    shed = accesslog.ExtensionFilter(name="envoy.access_loggers.extension_filters.cel", typed_config=packed(expression))
    mapper = _mapper(dataclasses.replace(reject, status=500), accesslog.AccessLogFilter(extension_filter=shed))
    mapper.status_code = reject.status
    return mapper


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


def _status(status: int, op: accesslog.ComparisonFilterOp) -> accesslog.AccessLogFilter:
    value = core.RuntimeUInt32(default_value=status, runtime_key=f"routegen.local_reply.{status}")
    return accesslog.AccessLogFilter(
        status_code_filter=accesslog.StatusCodeFilter(comparison=accesslog.ComparisonFilter(op=op, value=value))
    )


def _flags(*flags: str) -> accesslog.AccessLogFilter:
    """Match any of these response flags; none given: any flag at all."""
    return accesslog.AccessLogFilter(response_flag_filter=accesslog.ResponseFlagFilter(flags=list(flags)))


def _without_header(name: str) -> accesslog.AccessLogFilter:
    header = route.HeaderMatcher(name=name, present_match=True, invert_match=True)
    return accesslog.AccessLogFilter(header_filter=accesslog.HeaderFilter(header=header))


def _all(*filters: accesslog.AccessLogFilter) -> accesslog.AccessLogFilter:
    return accesslog.AccessLogFilter(and_filter=accesslog.AndFilter(filters=list(filters)))
