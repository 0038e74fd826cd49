"""Envoy's external processing service: one stream a request, from messages' bytes to replies' bytes."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from . import refusals, wire
from .admission import Admission, Reservation
from .journal import Journal
from .metrics import Metrics
from .models import Knowing
from .readers import Readers, uncounted
from .stream import (
    BUFFERED,
    Answer,
    Body,
    Continue,
    Headers,
    Policy,
    Protocol,
    Reply,
    Routed,
    Stream,
    Trailers,
)
from .transport import Exchange, Status, StatusError

REQUEST_ID: Final = "x-request-id"
MAX_REQUEST_ID: Final = 128
"""A request id is cut to this length in logs: a client may send its own."""

_log = logging.getLogger("routegen.processor")


@dataclass(frozen=True, slots=True)
class Active:
    """Everything that follows from one configuration. A stream keeps the one that it started with."""

    policy: Policy
    registry: Knowing
    replies: wire.Replies


class Processor:
    """Decides requests. Lives on one event loop."""

    def __init__(self, current: Callable[[], Active], admission: Admission, journal: Journal, metrics: Metrics) -> None:
        self._current, self._admission, self._journal, self._metrics = current, admission, journal, metrics
        self._readers = Readers()

    def close(self) -> None:
        """End the reader processes."""
        self._readers.close()

    async def process(self, exchange: Exchange) -> bytes:
        """Handle one stream; returns its last reply.

        It ends right after the decision: a stream that stays open is held until the engine's answer ends.

        :raises StatusError: there is no decision. Envoy reads a good end without one as "let the request pass".
        """
        active = self._current()
        stream = Stream(active.policy, active.registry.view, random.random)
        try:
            decision = await self._decide(stream, active, exchange)
            if decision is not None:
                return decision
            count, problem = self._metrics.abandoned, "the stream ended before a decision"
        except asyncio.CancelledError:
            self._metrics.abandoned()
            raise
        except wire.WireError as error:
            count, problem = self._metrics.failed, str(error)
        except Exception as error:  # noqa: BLE001 - however a decision fails, Envoy must not take it for "let it pass"
            count, problem = self._metrics.failed, "internal error; the router's log says more"
            if exchange.cancelled():  # writing to a stream that has just been reset fails too
                count = self._metrics.abandoned
            else:
                _log.error("stream failed", exc_info=error)
        count()
        raise StatusError(Status.INTERNAL, problem)

    async def _decide(self, stream: Stream, active: Active, exchange: Exchange) -> bytes | None:
        """Answer messages until there is a decision; ``None`` if the gateway ended the stream before."""
        request_id, reservation = "", None
        try:
            while isinstance(message := await exchange.read(), bytes):
                began = time.perf_counter()
                event, protocol = wire.read(message)
                del message
                if isinstance(event, Body):
                    grow = reservation.grow if reservation is not None else uncounted
                    reply: Reply = await self._on_body(stream, active.policy, event, grow)
                else:
                    reply = _step(stream, event, protocol)
                if isinstance(event, Headers):
                    request_id = _request_id(event)
                del event  # don't hold a large body while the reply is on its way
                answer = active.replies.encode(reply)
                took = time.perf_counter() - began
                if isinstance(reply, Routed) and reply.change is not None and reservation is not None:
                    _hold_until_sent(reservation, len(answer), exchange)
                    reservation, reply = None, msgspec.structs.replace(reply, change=None)  # the journal needs no body
                if isinstance(reply, Continue):  # at most once: headers that come twice are a fault
                    reservation = await self._admission.reserve(reply.body_bytes)
                    if reservation is not None:
                        await exchange.write(answer)
                        continue
                    reply = stream.refuse(refusals.overloaded())
                    answer = active.replies.encode(reply)
                self._journal.add(reply, took, stream.body_bytes, request_id)
                if isinstance(reply, Answer) and reply.fault is not None:
                    what = "a rule failed" if reply.code == "rule_failed" else "the gateway is set up wrongly"
                    _log.error(what, extra={"fields": {"fault": reply.fault}})
                return answer
            return None
        finally:
            if reservation is not None:
                reservation.release()

    async def _on_body(
        self, stream: Stream, policy: Policy, body: Body, grow: Callable[[int], None]
    ) -> Routed | Answer:
        refused = stream.take(body)
        if refused is not None:
            return refused
        how = policy.reading(stream.path)
        found = await self._readers.read(how.reads, how.reader, body.data, stream.packing, grow)
        return stream.on_fields(found)


def _hold_until_sent(reservation: Reservation, size: int, exchange: Exchange) -> None:
    """Go on counting a request whose new body is on its way to the gateway."""
    reservation.grow(size)
    exchange.add_done_callback(lambda _: reservation.release())


def _step(stream: Stream, event: Headers | Trailers | wire.Unexpected, protocol: Protocol | None) -> Reply:
    """The reply to anything but a body."""
    match event:
        case Headers():
            return stream.on_headers(event, protocol or BUFFERED)
        case Trailers():
            return stream.on_trailers(event)
        case wire.Unexpected():
            return stream.on_unexpected(event.name)


def _request_id(headers: Headers) -> str:
    """Envoy's id of the request, where the gateway forwards it."""
    for name, value in headers.pairs:
        if name == REQUEST_ID:
            text = value if isinstance(value, str) else value.decode("latin-1")
            return text[:MAX_REQUEST_ID]
    return ""
