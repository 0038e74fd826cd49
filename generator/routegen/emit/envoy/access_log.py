"""The access log: one JSON object a request on standard output, with the decision and what it cost.

It holds no query string, no body, no credential. docs/targets/envoy.md explains each field.
"""

from __future__ import annotations

from envoy_data_plane.envoy.config.accesslog import v3 as accesslog
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.extensions.access_loggers.stream import v3 as stream
from envoy_data_plane.google.protobuf import Struct

from routegen.plan import Plan

from . import names
from .messages import packed


def fields(plan: Plan) -> dict[str, str]:
    """Field -> Envoy's format; a field without a value is ``null``.

    ``backend`` is the routing header as the engine received it: it is the truth also where no rule decided
    (a failure backend, a passthrough route).
    """
    return {
        "time": "%START_TIME%",
        "request_id": "%REQ(X-REQUEST-ID)%",
        "method": "%REQ(:METHOD)%",
        "path": "%PATH(NQ:PATH)%",
        "protocol": "%PROTOCOL%",
        "status": "%RESPONSE_CODE%",
        "route": "%ROUTE_NAME%",
        "rule": f"%DYNAMIC_METADATA({names.METADATA}:rule)%",
        "backend": f"%REQ({plan.routing_header})%",
        "reject": f"%DYNAMIC_METADATA({names.METADATA}:reject)%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "flags": "%RESPONSE_FLAGS%",
        "upstream": "%UPSTREAM_HOST%",
        "duration_ms": "%DURATION%",
        "first_byte_ms": "%RESPONSE_DURATION%",
        "router_headers_us": f"%FILTER_STATE({names.EXT_PROC}:FIELD:request_header_latency_us)%",
        "router_body_us": f"%FILTER_STATE({names.EXT_PROC}:FIELD:request_body_total_latency_us)%",
        "bytes_received": "%BYTES_RECEIVED%",
        "bytes_sent": "%BYTES_SENT%",
        "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    }


def access_log(plan: Plan) -> accesslog.AccessLog:
    """Make the logger."""
    log_format = core.SubstitutionFormatString(json_format=Struct.from_dict(fields(plan)))
    return accesslog.AccessLog(
        name="envoy.access_loggers.stdout", typed_config=packed(stream.StdoutAccessLog(log_format=log_format))
    )
