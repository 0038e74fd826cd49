"""Protobuf: the bytes of Envoy's external processing and of gRPC health checks, to and from plain data.

The only module that knows protobuf. Its messages are a trimmed, wire-compatible copy of Envoy's (``proto/``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from google.protobuf.message import DecodeError
from google.protobuf.struct_pb2 import Struct

from ._pb import extproc_pb2 as pb
from ._pb import health_pb2
from .messages import (
    Answer,
    Body,
    Change,
    Continue,
    Headers,
    Protocol,
    Reply,
    Routed,
    Trailers,
)
from .request import Bytes

SERVICE: Final = "envoy.service.ext_proc.v3.ExternalProcessor"
METHOD: Final = "Process"
HEALTH_SERVICE: Final = "grpc.health.v1.Health"
UNCOPIED_BYTES: Final = 64 * 1024
"""In longer messages the body is not copied."""
NAMESPACE: Final = "routegen"
"""Of the dynamic metadata that tells Envoy's access log what was decided."""


class WireError(ValueError):
    """The bytes are not the message that they should be."""


@dataclass(frozen=True, slots=True)
class Unexpected:
    """A message that a router attached as routegen renders it never gets."""

    name: str
    """The field's name in the protocol, such as ``response_headers``."""


Event = Headers | Body | Trailers | Unexpected


def read(message: bytes) -> tuple[Event, Protocol | None]:
    """Envoy's ``ProcessingRequest``, and its ``protocol_config`` where it carries one (the first of a stream does).

    :raises WireError: it is something else.
    """
    try:
        body = _uncopied_body(message) if len(message) > UNCOPIED_BYTES else None
        if body is not None:
            return body, None
        request = pb.ProcessingRequest.FromString(message)
    except DecodeError as error:
        raise WireError("not a ProcessingRequest") from error
    protocol = None
    if request.HasField("protocol_config"):
        announced = request.protocol_config
        protocol = _protocol(announced.request_body_mode, announced.send_body_without_waiting_for_header_response)
    if request.observability_mode:
        return Unexpected("observability_mode"), protocol
    kind = request.WhichOneof("request")
    if kind == "request_headers":
        headers = request.request_headers
        pairs = [(pair.key, pair.raw_value or pair.value) for pair in headers.headers.headers]
        return Headers(tuple(pairs), headers.end_of_stream), protocol
    if kind == "request_body":
        return Body(request.request_body.body, request.request_body.end_of_stream), protocol
    if kind == "request_trailers":
        return Trailers(), protocol
    return Unexpected(kind or "a message without content"), protocol


class Replies:
    """Replies as bytes; the routed ones, of which there are few, are made once."""

    def __init__(self, routing_header: str, authorizations: Mapping[str, str] | None = None) -> None:
        """Prepare.

        :param authorizations: backend -> the ``authorization`` that its requests carry in place of the client's.
        """
        self._routing_header, self.authorizations = routing_header, authorizations or {}
        self._routed: dict[Routed, bytes] = {}

    def encode(self, reply: Reply) -> bytes:
        """Write a ``ProcessingResponse``."""
        match reply:
            case Continue():
                return _CONTINUE
            case Routed(change=Change() as change):
                return _changed(reply, self._headers(reply.backend), change)
            case Routed():
                known = self._routed.get(reply)
                if known is None:
                    known = self._routed[reply] = _routed(reply, self._headers(reply.backend))
                return known
            case Answer():
                return _answer(reply)

    def _headers(self, backend: str) -> dict[str, str]:
        own = self.authorizations.get(backend)
        return {self._routing_header: backend, **({} if own is None else {"authorization": own})}


def read_health(message: bytes) -> str:
    """The service that a ``HealthCheckRequest`` asks about; empty means the whole server.

    :raises WireError: it is something else.
    """
    try:
        return health_pb2.HealthCheckRequest.FromString(message).service
    except DecodeError as error:
        raise WireError("not a HealthCheckRequest") from error


def _health(status: health_pb2.HealthCheckResponse.ServingStatus) -> bytes:
    return health_pb2.HealthCheckResponse(status=status).SerializeToString()


SERVING: Final = _health(health_pb2.HealthCheckResponse.SERVING)
NOT_SERVING: Final = _health(health_pb2.HealthCheckResponse.NOT_SERVING)
SERVICE_UNKNOWN: Final = _health(health_pb2.HealthCheckResponse.SERVICE_UNKNOWN)

_REQUEST_BODY: Final = bytes([4 << 3 | 2])
_BODY: Final = bytes([1 << 3 | 2])
"""The tags of ``ProcessingRequest.request_body`` and ``HttpBody.body``: field number and wire type."""
_BODY_RESPONSE: Final = bytes([3 << 3 | 2])
_RESPONSE: Final = bytes([1 << 3 | 2])
_BODY_MUTATION: Final = bytes([3 << 3 | 2])
_NEW_BODY: Final = bytes([1 << 3 | 2])
"""Those of ``ProcessingResponse.request_body``, ``BodyResponse.response``, ``CommonResponse.body_mutation`` and
``BodyMutation.body``."""
_CONTINUED: Final = 0x80
_LONGEST_VARINT: Final = 10

_CONTINUE: Final = pb.ProcessingResponse(request_headers=pb.HeadersResponse()).SerializeToString()


def _uncopied_body(message: bytes) -> Body | None:
    """A long body as a view into the message that holds it.

    protobuf copies it twice, into fresh memory, which at a megabyte takes several times as long as reading the JSON.
    So the frame around it is taken apart here, as Envoy writes it: the body first (``request_body`` is the lowest
    field that such a message has, ``body`` the lowest of its own), then a few bytes for protobuf.

    :returns: ``None`` where the message is framed otherwise; protobuf then reads all of it.
    :raises DecodeError: what follows the body isn't protobuf.
    """
    outer = _field(message, 0, _REQUEST_BODY)
    inner = _field(message, outer[0], _BODY) if outer is not None else None
    if outer is None or inner is None or not inner[1] <= outer[1] <= len(message):
        return None
    frame = pb.HttpBody.FromString(message[inner[1] : outer[1]])
    rest = pb.ProcessingRequest.FromString(message[outer[1] :])
    if frame.body or rest.WhichOneof("request") is not None or rest.observability_mode:
        return None
    return Body(memoryview(message)[inner[0] : inner[1]], frame.end_of_stream)


def _field(message: bytes, at: int, tag: bytes) -> tuple[int, int] | None:
    """Where the content of a length-delimited field begins and ends, if the field ``tag`` stands at ``at``."""
    if not message.startswith(tag, at):
        return None
    size = shift = 0
    for byte in message[at + 1 : at + 1 + _LONGEST_VARINT]:
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < _CONTINUED:
            begins = at + 1 + shift // 7
            return begins, begins + size
    return None


@lru_cache(maxsize=64)
def _protocol(mode: pb.ProcessingMode.BodySendMode, send_body_without_waiting: bool) -> Protocol:
    known = mode in pb.ProcessingMode.BodySendMode.values()
    return Protocol(pb.ProcessingMode.BodySendMode.Name(mode) if known else str(mode), send_body_without_waiting)


def _routed(reply: Routed, headers: Mapping[str, str]) -> bytes:
    common, told = _common(headers), _decided(reply)
    if reply.at_headers:
        made = pb.ProcessingResponse(request_headers=pb.HeadersResponse(response=common), dynamic_metadata=told)
    else:
        made = pb.ProcessingResponse(request_body=pb.BodyResponse(response=common), dynamic_metadata=told)
    return made.SerializeToString()


def _changed(reply: Routed, headers: Mapping[str, str], change: Change) -> bytes:
    """As :func:`_routed`, with a new body.

    Envoy answers 503 where the body is of another length than its content-length, so both change together. protobuf
    would copy the body several times, so the frame around it is written here: it is the last field of each message
    that it is in.
    """
    common = _common({**headers, "content-length": str(change.length)})
    if change.codings:
        common.header_mutation.remove_headers.append("content-encoding")
    pieces: list[Bytes] = [*change.pieces]
    size = change.length
    for tag, before in ((_NEW_BODY, b""), (_BODY_MUTATION, common.SerializeToString()), (_RESPONSE, b"")):
        frame = before + tag + _varint(size)
        pieces.insert(0, frame)
        size += len(frame)
    pieces.insert(0, _BODY_RESPONSE + _varint(size))
    pieces.append(pb.ProcessingResponse(dynamic_metadata=_decided(reply)).SerializeToString())
    return b"".join(pieces)


def _common(headers: Mapping[str, str]) -> pb.CommonResponse:
    # Envoy ignores clear_route_cache in a response that mutates no header, and `value` in place of `raw_value`.
    return pb.CommonResponse(
        header_mutation=pb.HeaderMutation(set_headers=[_header(name, value) for name, value in headers.items()]),
        clear_route_cache=True,
    )


def _decided(reply: Routed) -> Struct:
    second = {"second": reply.second} if reply.second else {}
    return _metadata({"backend": reply.backend, "rule": reply.rule} | second)


def _varint(value: int) -> bytes:
    """A length as protobuf writes it: seven bits a byte, the lowest first."""
    written = bytearray()
    while value >= _CONTINUED:
        written.append(value & 0x7F | _CONTINUED)
        value >>= 7
    return bytes((*written, value))


def _answer(reply: Answer) -> bytes:
    immediate = pb.ImmediateResponse(
        status=pb.HttpStatus(code=reply.status),
        headers=pb.HeaderMutation(set_headers=[_header(name, value) for name, value in reply.headers]),
        body=reply.body,
        details=reply.details,
    )
    return pb.ProcessingResponse(
        immediate_response=immediate, dynamic_metadata=_metadata(reply.metadata)
    ).SerializeToString()


def _header(name: str, value: str) -> pb.HeaderValueOption:
    return pb.HeaderValueOption(
        header=pb.HeaderValue(key=name, raw_value=value.encode()),
        append_action=pb.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )


def _metadata(values: Mapping[str, str]) -> Struct:
    metadata = Struct()
    metadata.update({NAMESPACE: dict(values)})
    return metadata
