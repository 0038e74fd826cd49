"""What ``local_reply_config`` is made of: which of Envoy's own replies, and what they become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from envoy_data_plane.envoy.config.accesslog import v3 as accesslog
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.route import v3 as route
from envoy_data_plane.envoy.extensions.access_loggers.filters.cel import v3 as cel
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as hcm
from envoy_data_plane.envoy.type.matcher import v3 as matcher
from envoy_data_plane.google.protobuf import Struct

from routegen_router import anthropic
from routegen_router.answers import error_document
from routegen_router.refusals import Reject

from .messages import packed, quote

AT_LEAST: Final = accesslog.ComparisonFilterOp.GE
EQUAL: Final = accesslog.ComparisonFilterOp.EQ
AT_MOST: Final = accesslog.ComparisonFilterOp.LE


class Mapper(Protocol):
    """Makes a mapper of a refusal."""

    def __call__(
        self, reject: Reject, *conditions: accesslog.AccessLogFilter, op: accesslog.ComparisonFilterOp = EQUAL
    ) -> hcm.ResponseMapper:
        """As :func:`mapper`."""
        ...


def mapper(
    reject: Reject, *conditions: accesslog.AccessLogFilter, op: accesslog.ComparisonFilterOp = EQUAL
) -> hcm.ResponseMapper:
    """Give replies of this status, where all ``conditions`` hold too, this error as their body, in OpenAI's shape."""
    return _made(reject, error_document(reject), conditions, op)


def anthropic_mapper(
    reject: Reject, *conditions: accesslog.AccessLogFilter, op: accesslog.ComparisonFilterOp = EQUAL
) -> hcm.ResponseMapper:
    """As :func:`mapper`, for requests of Anthropic's Messages API and in its shape."""
    paths = matcher.RegexMatcher(regex=f"{quote(anthropic.PATH)}(/[^?]*)?([?].*)?")
    asked = has_header(route.HeaderMatcher(name=":path", string_match=matcher.StringMatcher(safe_regex=paths)))
    return _made(reject, anthropic.error_document(reject), (asked, *conditions), op)


def _made(
    reject: Reject,
    document: Mapping[str, Any],
    conditions: Sequence[accesslog.AccessLogFilter],
    op: accesslog.ComparisonFilterOp,
) -> hcm.ResponseMapper:
    right = has_status(reject.status, op)
    return hcm.ResponseMapper(
        filter=all_of(right, *conditions) if conditions else right,
        body_format_override=core.SubstitutionFormatString(
            json_format=Struct.from_dict(dict(document)), content_type="application/json"
        ),
        headers_to_add=[
            core.HeaderValueOption(header=core.HeaderValue(key=name, value=value))
            for name, value in reject.headers.items()
        ],
    )


def has_status(status: int, op: accesslog.ComparisonFilterOp) -> accesslog.AccessLogFilter:
    """Match replies by their status."""
    value = core.RuntimeUInt32(default_value=status, runtime_key=f"routegen.local_reply.{status}")
    return accesslog.AccessLogFilter(
        status_code_filter=accesslog.StatusCodeFilter(comparison=accesslog.ComparisonFilter(op=op, value=value))
    )


def has_flags(*flags: str) -> accesslog.AccessLogFilter:
    """Match any of these response flags; none given: any flag at all."""
    return accesslog.AccessLogFilter(response_flag_filter=accesslog.ResponseFlagFilter(flags=list(flags)))


def has_header(header: route.HeaderMatcher) -> accesslog.AccessLogFilter:
    """Match by a header of the request."""
    return accesslog.AccessLogFilter(header_filter=accesslog.HeaderFilter(header=header))


def has_details(details: str) -> accesslog.AccessLogFilter:
    """Match by the response code details, Envoy's word for why it answers."""
    return holds(f"response.code_details == '{details}'")


def holds(expression: str) -> accesslog.AccessLogFilter:
    """Match by an expression of CEL over Envoy's attributes."""
    config = packed(cel.ExpressionFilter(expression=expression))
    told = accesslog.ExtensionFilter(name="envoy.access_loggers.extension_filters.cel", typed_config=config)
    return accesslog.AccessLogFilter(extension_filter=told)


def all_of(*filters: accesslog.AccessLogFilter) -> accesslog.AccessLogFilter:
    """Match what all of these match."""
    return accesslog.AccessLogFilter(and_filter=accesslog.AndFilter(filters=list(filters)))
