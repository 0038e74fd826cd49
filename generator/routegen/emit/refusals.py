"""What a gateway answers by itself, in the same words for every target; docs/errors.md lists it."""

from __future__ import annotations

from typing import Final

from routegen_router.refusals import Reject

NOT_FOUND: Final = Reject(404, "not_found", "This gateway does not serve that path or method.")
ROUTE_NOT_SET: Final = Reject(503, "route_not_set", "No engine was chosen for this request.")
ROUTER_UNAVAILABLE: Final = Reject(503, "router_unavailable", "The gateway's router can't be reached or failed.")
GATEWAY_TIMEOUT: Final = Reject(504, "gateway_timeout", "The router or the engine took too long to answer.")
UPLOAD_STALLED: Final = Reject(408, "request_timeout", "The request's body did not come in time.")
BAD_REQUEST: Final = Reject(400, "bad_request", "The gateway refused the request.")
