"""A small endpoint picker over real gRPC, which chooses what the test says.

It speaks FULL_DUPLEX_STREAMED as the one of the Gateway API Inference Extension does: it reads the whole body, answers
with the picked endpoint as header and as metadata, and sends the JSON back written anew (sorted keys, no blanks), in
pieces.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.service.ext_proc import v3 as ext_proc
from envoy_data_plane.envoy.type import v3 as envoy_type
from envoy_data_plane.google.protobuf import Struct
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from routegen.emit.envoy import messages as _  # noqa: F401 - makes these messages quick to use

HEADER: Final = "x-gateway-destination-endpoint"
PIECE: Final = 62_000
"""Bytes of a body that are sent back at a time."""


@dataclass(frozen=True)
class Asked:
    """One request, as the picker saw it."""

    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Refusal:
    """The picker answers the client itself."""

    status: int
    text: str


Choose = Callable[[Asked], str | Refusal]


@dataclass
class RunningPicker:
    """What a test talks to."""

    port: int
    health_port: int
    choose: Choose
    """May be exchanged; gives ``host:port``, several of them joined by commas, or a refusal."""
    asked: list[Asked] = field(default_factory=list)
    unanswered: threading.Event = field(default_factory=threading.Event)
    """Set: requests are read, and nothing is said."""
    _health: health.HealthServicer | None = None
    _servers: list[grpc.Server] = field(default_factory=list)

    def serving(self, serving: bool) -> None:
        """Say so when asked for health."""
        states = health_pb2.HealthCheckResponse.ServingStatus
        assert self._health is not None
        self._health.set("", states.Value("SERVING" if serving else "NOT_SERVING"))

    def stop(self) -> None:
        """End at once, connections and all."""
        for server in self._servers:
            server.stop(0).wait()


@contextmanager
def picker(choose: Choose, *, tls: tuple[Path, Path] | None = None) -> Iterator[RunningPicker]:
    """Run one until the block ends.

    :param tls: certificate and key, PEM; its health is served without TLS all the same, as by real ones.
    """
    running = RunningPicker(0, 0, choose)

    def process(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        del context
        yield from _process(running, requests)

    handler = grpc.method_handlers_generic_handler(
        "envoy.service.ext_proc.v3.ExternalProcessor", {"Process": grpc.stream_stream_rpc_method_handler(process)}
    )
    server = grpc.server(ThreadPoolExecutor(16), handlers=(handler,))  # its messages have at most 4 MiB, as real ones'
    if tls is None:
        running.port = server.add_insecure_port("127.0.0.1:0")
    else:
        pair = (tls[1].read_bytes(), tls[0].read_bytes())
        running.port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    beside = grpc.server(ThreadPoolExecutor(2))
    running._health = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(running._health, beside)
    running.health_port = beside.add_insecure_port("127.0.0.1:0")
    running._servers += [server, beside]
    running.serving(True)
    for one in running._servers:
        one.start()
    try:
        yield running
    finally:
        running.unanswered.clear()
        running.stop()


def _process(running: RunningPicker, requests: Iterator[bytes]) -> Iterator[bytes]:
    headers: dict[str, str] = {}
    body, complete = b"", False
    for message in requests:
        request = ext_proc.ProcessingRequest.parse(message)
        if request.request_headers is not None:
            assert request.request_headers.headers is not None
            headers = {one.key: one.raw_value.decode() or one.value for one in request.request_headers.headers.headers}
            complete = request.request_headers.end_of_stream
        elif request.request_body is not None:
            body += request.request_body.body
            complete = request.request_body.end_of_stream
        if complete:
            break
    if not complete:
        return
    asked = Asked(headers, body)
    running.asked.append(asked)
    if running.unanswered.is_set():
        for _message in requests:  # until Envoy gives up
            pass
        return
    choice = running.choose(asked)
    if isinstance(choice, Refusal):
        status = envoy_type.HttpStatus(code=envoy_type.StatusCode(choice.status))
        refused = ext_proc.ImmediateResponse(status=status, body=choice.text.encode())
        yield bytes(ext_proc.ProcessingResponse(immediate_response=refused))
        return
    yield from _picked(choice, json.dumps(json.loads(body), sort_keys=True, separators=(",", ":")).encode())


def _picked(endpoint: str, body: bytes) -> Iterator[bytes]:
    told = {HEADER: endpoint, "content-length": str(len(body)), "x-made-up": "by the picker"}
    mutation = ext_proc.HeaderMutation(
        set_headers=[
            core.HeaderValueOption(
                header=core.HeaderValue(key=key, raw_value=value.encode()),
                append_action=core.HeaderValueOptionHeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
            )
            for key, value in told.items()
        ]
    )
    common = ext_proc.CommonResponse(header_mutation=mutation, clear_route_cache=True)
    yield bytes(
        ext_proc.ProcessingResponse(
            request_headers=ext_proc.HeadersResponse(response=common),
            dynamic_metadata=Struct.from_dict({"envoy.lb": {HEADER: endpoint}}),
        )
    )
    for start in range(0, len(body), PIECE):
        piece = ext_proc.StreamedBodyResponse(
            body=body[start : start + PIECE], end_of_stream=start + PIECE >= len(body)
        )
        mutated = ext_proc.CommonResponse(body_mutation=ext_proc.BodyMutation(streamed_response=piece))
        yield bytes(ext_proc.ProcessingResponse(request_body=ext_proc.BodyResponse(response=mutated)))
