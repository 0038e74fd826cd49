"""The filter behind the router's: it asks the endpoint picker of a pool which of its pods gets the request.

It is in every request's chain and does nothing until a pool's route says whom to ask. It can't be switched off there
(``HttpFilter.disabled``) as the router's is: which filters run is settled by the route that a request matches first,
and that one is the waiting route.
"""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.config.common.mutation_rules import v3 as mutation_rules
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.extensions.filters.http.ext_proc import v3 as ext_proc
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as hcm
from envoy_data_plane.envoy.type import v3 as envoy_type
from envoy_data_plane.envoy.type.matcher import v3 as matcher
from envoy_data_plane.google.protobuf import Any

from routegen.plan import Backend, PoolRef

from . import names
from .messages import exact, one_of, packed
from .router_filter import retry_policy

FROM_CLIENTS: Final = ("x-gateway-", "x-llm-d-", "x-prefiller-", "x-encoder-", "x-data-parallel-")
"""What the headers begin with by which pickers, and sidecars beside engines, are told what to do: to rename a model, to
prefer a request, to fetch from any host. None may come from a client."""

_ALLOWED: Final = (
    "content-length",  # pickers write the JSON anew, so its length changes
    "content-type",
    "retry-after",
    names.ENDPOINT,
    # llm-d, prefill and decode in different pods: what the sidecar of the picked one has to know
    "x-prefiller-host-port",
    "x-encoder-hosts-ports",
    "x-data-parallel-host-port",
)
_SECRET: Final = ("authorization", "proxy-authorization", "cookie", "x-api-key", "api-key")

_HEADERS, _BODY = ext_proc.ProcessingModeHeaderSendMode, ext_proc.ProcessingModeBodySendMode


def picker_filter() -> hcm.HttpFilter:
    """Make the filter: it sends nothing to nobody, and lets everything pass."""
    config = ext_proc.ExternalProcessor(
        grpc_service=_asking(names.WAITING),
        processing_mode=_mode(_HEADERS.SKIP, _BODY.NONE, _HEADERS.SKIP),
        status_on_error=envoy_type.HttpStatus(code=envoy_type.StatusCode.ServiceUnavailable),
        allow_content_length_header=True,
        metadata_options=ext_proc.MetadataOptions(
            receiving_namespaces=ext_proc.MetadataOptionsMetadataNamespaces(untyped=[names.BALANCING])
        ),
        mutation_rules=mutation_rules.HeaderMutationRules(
            disallow_all=True, allow_expression=matcher.RegexMatcher(regex=f"^({one_of(_ALLOWED).regex})$")
        ),
        forward_rules=ext_proc.HeaderForwardingRules(
            disallowed_headers=matcher.ListStringMatcher(patterns=[exact(name) for name in _SECRET])
        ),
    )
    return hcm.HttpFilter(name=names.PICKER, typed_config=packed(config))


def asks_picker(backend: Backend) -> dict[str, Any]:
    """Per-route settings: the picker of ``backend``'s pool is asked; nothing where it is no pool.

    FULL_DUPLEX_STREAMED is what pickers speak. Trailers must be sent in it.
    """
    if not isinstance(backend.reach, PoolRef) or backend.reach.picker is None:
        return {}
    overrides = ext_proc.ExtProcOverrides(
        processing_mode=_mode(_HEADERS.SEND, _BODY.FULL_DUPLEX_STREAMED, _HEADERS.SEND),
        grpc_service=_asking(names.picker(backend.name)),
        failure_mode_allow=backend.reach.picker.fail_open,
    )
    return {names.PICKER: packed(ext_proc.ExtProcPerRoute(overrides=overrides))}


def _asking(cluster: str) -> core.GrpcService:
    return core.GrpcService(
        envoy_grpc=core.GrpcServiceEnvoyGrpc(cluster_name=cluster),
        retry_policy=None if cluster == names.WAITING else retry_policy(),
    )


def _mode(
    headers: ext_proc.ProcessingModeHeaderSendMode,
    body: ext_proc.ProcessingModeBodySendMode,
    trailers: ext_proc.ProcessingModeHeaderSendMode,
) -> ext_proc.ProcessingMode:
    """What is sent of the request; of the response nothing is."""
    return ext_proc.ProcessingMode(
        request_header_mode=headers,
        request_body_mode=body,
        request_trailer_mode=trailers,
        response_header_mode=_HEADERS.SKIP,
        response_body_mode=_BODY.NONE,
        response_trailer_mode=_HEADERS.SKIP,
    )
