"""Envoy's own error replies, given OpenAI's shape (``local_reply_config``); docs/errors.md lists them.

The first mapper that matches wins, and only replies that Envoy makes come here, never an engine's. The router's
rejections are such replies too: the first mapper, which changes nothing, lets them through. A body never shows
Envoy's "response code details", which hold the router's error text.
"""

from __future__ import annotations

import dataclasses
from typing import Final

from envoy_data_plane.envoy.config.accesslog import v3 as accesslog
from envoy_data_plane.envoy.config.route import v3 as route
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as hcm
from envoy_data_plane.envoy.type.matcher import v3 as matcher

from routegen.emit.refusals import (
    BAD_REQUEST,
    GATEWAY_TIMEOUT,
    NOT_FOUND,
    ROUTE_NOT_SET,
    ROUTER_UNAVAILABLE,
    UPLOAD_STALLED,
)
from routegen.plan import Plan
from routegen_router.anthropic import speaks
from routegen_router.refusals import Reject, too_large

from . import names
from .mappers import AT_LEAST, Mapper, anthropic_mapper, has_details, has_flags, has_header, mapper
from .picker_replies import picker_fails, picker_replies

_NOT_KEPT: Final = 507
"""What Envoy answers where a connection is refused and what it has sent of an unread body was too long to keep."""


def local_replies(plan: Plan) -> hcm.LocalReplyConfig:
    """Make the mappers, from the most particular to the most general; Anthropic's, if served, first."""
    anthropic = _replies(plan, anthropic_mapper) if any(map(speaks, plan.paths)) else []
    return hcm.LocalReplyConfig(
        mappers=[
            hcm.ResponseMapper(filter=_from_router()),
            *picker_replies(plan),
            *anthropic,
            *_replies(plan, mapper),
        ]
    )


def _replies(plan: Plan, mapper: Mapper) -> list[hcm.ResponseMapper]:
    undecided = has_header(route.HeaderMatcher(name=plan.routing_header, present_match=True, invert_match=True))
    nowhere = has_flags("UH", "NC")  # no endpoint, no cluster: what the waiting route leads to
    failed = has_flags()  # any flag: Envoy failed to get an answer from upstream; the router's failures have none
    full = "As many requests as this gateway holds for one engine are waiting for the chosen one; try again later."
    gone = "The chosen engine can't be reached, or closed the connection before it answered."
    broken = "The chosen engine's answer can't be used: it is not valid HTTP, or its headers are too large or cut off."
    no_memory = "The gateway has no memory left for this request; try again shortly."
    pressed = Reject(503, "gateway_overloaded", no_memory, headers={"retry-after": "1"})
    failing = Reject(500, "internal_error", "The gateway failed to handle the request.")
    shed = has_details("overload")
    return [
        mapper(pressed, shed),
        _in_place_of(500, pressed, mapper, shed),
        mapper(too_large(plan.max_body_bytes)),
        mapper(UPLOAD_STALLED),
        mapper(NOT_FOUND),
        mapper(GATEWAY_TIMEOUT),
        mapper(ROUTE_NOT_SET, undecided, nowhere),
        mapper(Reject(503, "engine_overloaded", full), has_flags("UO")),
        mapper(Reject(503, "engine_unavailable", gone), failed),
        _in_place_of(_NOT_KEPT, Reject(503, "engine_unavailable", gone), mapper),
        *picker_fails(plan, mapper),
        mapper(ROUTER_UNAVAILABLE),
        mapper(Reject(502, "engine_failed", broken)),
        mapper(failing, op=AT_LEAST),
        mapper(BAD_REQUEST, op=AT_LEAST),
    ]


def _in_place_of(
    status: int, reject: Reject, mapper: Mapper, *conditions: accesslog.AccessLogFilter
) -> hcm.ResponseMapper:
    """As ``mapper``, for what has another status to Envoy, such as what is shed while it comes in."""
    made = mapper(dataclasses.replace(reject, status=status), *conditions)
    made.status_code = reject.status
    return made


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
