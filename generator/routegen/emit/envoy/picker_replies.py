"""Replies on the way to a pool: what its picker answers, and what Envoy does where it can't be asked."""

from __future__ import annotations

from collections.abc import Iterator

from envoy_data_plane.envoy.config.accesslog import v3 as accesslog
from envoy_data_plane.envoy.config.route import v3 as route
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as hcm

from routegen.plan import Backend, Plan, PoolRef
from routegen_router.refusals import Reject, too_large

from .mappers import AT_LEAST, AT_MOST, Mapper, has_details, has_header, mapper
from .messages import exact

_TOLD = "%LOCAL_REPLY_BODY%"
"""The picker's own words, which are meant for the client: what it has against the body, or that there is no room."""


def picker_replies(plan: Plan) -> Iterator[hcm.ResponseMapper]:
    """Give what pickers answer themselves OpenAI's shape, and tell the size that they take.

    A picker's answer has no response code details; all of Envoy's have.
    """
    if not plan.pools:
        return
    own = (_decided(plan), has_details(""))
    yield mapper(Reject(500, "picker_refused", _TOLD), *own, op=AT_LEAST)
    yield mapper(Reject(499, "picker_refused", _TOLD), *own, op=AT_MOST)
    for backend in plan.pools:
        assert isinstance(backend.reach, PoolRef)
        assert backend.reach.picker is not None
        if not backend.reach.picker.fail_open and backend.reach.picker.max_body_bytes < plan.max_body_bytes:
            yield mapper(too_large(backend.reach.picker.max_body_bytes), _decided(plan, backend))


def picker_fails(plan: Plan, mapper: Mapper = mapper) -> Iterator[hcm.ResponseMapper]:
    """Tell a failure after the decision, which isn't the router's; to stand behind what has a flag."""
    if plan.pools:
        gone = "The endpoint picker of the chosen engine's pool can't be reached or failed."
        yield mapper(Reject(503, "picker_unavailable", gone), _decided(plan))


def _decided(plan: Plan, backend: Backend | None = None) -> accesslog.AccessLogFilter:
    """The request is decided, for this backend or any: whoever fails by then without a flag is no router."""
    if backend is None:
        return has_header(route.HeaderMatcher(name=plan.routing_header, present_match=True))
    return has_header(route.HeaderMatcher(name=plan.routing_header, string_match=exact(backend.name)))
