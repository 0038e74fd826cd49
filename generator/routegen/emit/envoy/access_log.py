"""The access log: one JSON object a request on standard output, with the decision and what it cost.

It holds no query string, no body, no credential, no model's name, and what else a client may send is cut.
docs/targets/envoy.md explains each field.
"""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.config.accesslog import v3 as accesslog
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.route import v3 as route
from envoy_data_plane.envoy.extensions.access_loggers.filters.cel import v3 as cel
from envoy_data_plane.envoy.extensions.access_loggers.stream import v3 as stream
from envoy_data_plane.envoy.type.matcher import v3 as matcher
from envoy_data_plane.google.protobuf import Struct

from routegen.plan import MODELS_PATH, Plan
from routegen_router.messages import HEALTH

from . import names
from .messages import packed

LONGEST: Final = 128
"""Characters of a path, a method or a request id."""


def fields(*, picked: bool) -> dict[str, str]:
    """Field -> Envoy's format; a field without a value is ``null``.

    ``backend`` is whose engine answered or was tried last: it is the truth also where no rule decided (a failure
    backend, a passthrough route), and where the request went to its second choice.

    :param picked: whether there are pools, whose pickers' choice is a field then.
    """
    return {
        "time": "%START_TIME%",
        "request_id": f"%REQ(X-REQUEST-ID):{LONGEST}%",
        "method": f"%REQ(:METHOD):{LONGEST}%",
        "path": f"%PATH(NQ:PATH):{LONGEST}%",
        "protocol": "%PROTOCOL%",
        "status": "%RESPONSE_CODE%",
        "route": "%ROUTE_NAME%",
        "rule": f"%DYNAMIC_METADATA({names.METADATA}:rule)%",
        "backend": names.ANSWERED,
        "reject": f"%DYNAMIC_METADATA({names.METADATA}:reject)%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "flags": "%RESPONSE_FLAGS%",
        "upstream": "%UPSTREAM_HOST%",
        **({"picked": f"%DYNAMIC_METADATA({names.BALANCING}:{names.ENDPOINT})%"} if picked else {}),
        "duration_ms": "%DURATION%",
        "first_byte_ms": "%RESPONSE_DURATION%",
        "router_headers_us": f"%FILTER_STATE({names.EXT_PROC}:FIELD:request_header_latency_us)%",
        "router_body_us": f"%FILTER_STATE({names.EXT_PROC}:FIELD:request_body_total_latency_us)%",
        "bytes_received": "%BYTES_RECEIVED%",
        "bytes_sent": "%BYTES_SENT%",
        "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    }


def access_logs(plan: Plan) -> list[accesslog.AccessLog]:
    """Make the loggers: each request is told by one of them, but for health checks that found all well.

    Below ``/v1/models/`` the path is a client's text, which nobody has to have meant for a log.
    """
    below = accesslog.AccessLogFilter(header_filter=accesslog.HeaderFilter(header=_path_below(MODELS_PATH)))
    beside = accesslog.AccessLogFilter(header_filter=accesslog.HeaderFilter(header=_path_below(MODELS_PATH, but=True)))
    others = accesslog.AccessLogFilter(and_filter=accesslog.AndFilter(filters=[beside, _but(f"routegen_{HEALTH}")]))
    told = fields(picked=bool(plan.pools))
    return [_logger(told, others), _logger(told | {"path": f"{MODELS_PATH}/{{id}}"}, below)]


def _but(details: str) -> accesslog.AccessLogFilter:
    """All requests but those that ended with these response code details."""
    expression = cel.ExpressionFilter(expression=f"response.code_details != '{details}'")
    return accesslog.AccessLogFilter(
        extension_filter=accesslog.ExtensionFilter(
            name="envoy.access_loggers.extension_filters.cel", typed_config=packed(expression)
        )
    )


def _path_below(path: str, *, but: bool = False) -> route.HeaderMatcher:
    prefix = matcher.StringMatcher(prefix=f"{path}/")
    # CONNECT has no path, nor has what isn't valid HTTP: they are below nothing, and told as well.
    return route.HeaderMatcher(name=":path", string_match=prefix, invert_match=but, treat_missing_header_as_empty=True)


def _logger(told: dict[str, str], which: accesslog.AccessLogFilter) -> accesslog.AccessLog:
    log_format = core.SubstitutionFormatString(json_format=Struct.from_dict(told))
    return accesslog.AccessLog(
        name="envoy.access_loggers.stdout",
        filter=which,
        typed_config=packed(stream.StdoutAccessLog(log_format=log_format)),
    )
