"""The filter in front of the router's: it holds a request back until its body is complete.

The router is asked only then, so an upload that is slow, or never comes, costs Envoy a few tens of kilobytes and the
router nothing. It also gives a body that came without a length (chunked) its ``content-length``.
"""

from __future__ import annotations

from envoy_data_plane.envoy.config.route import v3 as route
from envoy_data_plane.envoy.extensions.filters.http.buffer import v3 as buffer
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as hcm
from envoy_data_plane.google.protobuf import Any

from routegen.plan import Plan

from . import names
from .messages import packed


def buffer_filter(plan: Plan, name: str = names.BUFFER) -> hcm.HttpFilter:
    """Make the filter; it is off until a route switches it on (see :func:`whole_body`)."""
    return hcm.HttpFilter(name=name, typed_config=packed(_settings(plan)), disabled=True)


def whole_body(plan: Plan, name: str = names.BUFFER) -> dict[str, Any]:
    """Per-route settings: wait for the whole body; 413 once it is longer than it may be."""
    settings = buffer.BufferPerRoute(buffer=_settings(plan))
    return {name: packed(route.FilterConfig(config=packed(settings)))}


def _settings(plan: Plan) -> buffer.Buffer:
    return buffer.Buffer(max_request_bytes=plan.max_body_bytes)
