"""What one external-processing stream carries, as plain data: the gateway's messages, and the replies to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from .request import Bytes, FieldPath

HEALTH: Final = "health"
"""What an answer to a health check is called, in metadata and details."""


class Protocol(msgspec.Struct, frozen=True):
    """What the first message's ``protocol_config`` announces. Without one, this is what is assumed."""

    request_body_mode: str = "BUFFERED"
    """The enum's name in Envoy's ``ProcessingMode.BodySendMode``."""
    send_body_without_waiting: bool = False


BUFFERED: Final = Protocol()
"""How the router gets bodies: one message with the whole body, after the reply to the headers. Where it reads none,
``NONE`` will do."""


class Headers(msgspec.Struct, frozen=True):
    """The request's headers, pseudo headers such as ``:path`` included."""

    pairs: tuple[tuple[str, str | bytes], ...]
    """In order, names in lower case; ``raw_value`` gives bytes, ``value`` gives text."""
    end_of_stream: bool
    """Whether no body follows."""


class Body(msgspec.Struct, frozen=True):
    """The request's whole body."""

    data: Bytes
    end_of_stream: bool
    """False where request trailers follow; the body is whole all the same."""


class Trailers(msgspec.Struct, frozen=True):
    """The request's trailers; the router asks nothing of them."""


class Continue(msgspec.Struct, frozen=True):
    """Reply to headers: go on, send the body. The server makes room for it first, or answers in its place."""

    body_bytes: int
    """How large it is; the most that it may be where the gateway doesn't say."""


class Change(msgspec.Struct, frozen=True):
    """What is forwarded in place of the body that came."""

    pieces: tuple[Bytes, ...]
    """One after the other, they are the new body."""
    codings: tuple[str, ...] = ()
    """The content codings that it no longer has."""
    model: str | None = None
    """The model's name in it, where that is another."""
    without: tuple[FieldPath, ...] = ()
    """Fields that it no longer has."""

    @property
    def length(self) -> int:
        """Bytes of the new body."""
        return sum(map(len, self.pieces))

    @property
    def told(self) -> tuple[str, ...]:
        """What is different, in words."""
        decoded = [f"without its content-encoding ({', '.join(self.codings)})"] if self.codings else []
        named = [f'with the model "{self.model}"'] if self.model is not None else []
        return (*decoded, *named, *(f"without {'.'.join(path)}" for path in self.without), f"{self.length} bytes")


class Routed(msgspec.Struct, frozen=True):
    """Reply to a body, or to headers that need none: send the request to ``backend``.

    On the wire: overwrite the routing header with the backend's name (in ``raw_value``), clear the route cache, and
    tell the decision in dynamic metadata.
    """

    backend: str
    rule: str
    second: str | None = None
    """Where it goes if ``backend`` refuses the connection; told in dynamic metadata, for the gateway's routes."""
    change: Change | None = None
    """``None``: the body goes on byte for byte."""
    at_headers: bool = False
    """Whether it replies to the headers: the body, if any, isn't read."""


class Answer(msgspec.Struct, frozen=True):
    """Reply to anything: answer the client now (Envoy's ``immediate_response``)."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...]
    details: str
    """Envoy's response code details: ``routegen_`` and the code."""
    metadata: Mapping[str, str]
    """Dynamic metadata: ``{"reject": code}``, with ``rule`` where a rule rejected; ``{"answer": "models"}``, or
    :data:`HEALTH`."""
    fault: str | None = None
    """For the operator's log, never for the client: how the gateway is set up wrongly and what would be right."""

    @property
    def code(self) -> str | None:
        """The error code; ``None`` for a good answer."""
        return self.metadata.get("reject")


Reply = Continue | Routed | Answer
