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
from .admission import SMALL_BYTES, Admission, Reservation
from .journal import Journal
from .messages import (
    BUFFERED,
    Answer,
    Body,
    Continue,
    Headers,
    Protocol,
    Reply,
    Routed,
    Trailers,
)
from .metrics import Metrics
from .models import Knowing
from .policy import Policy
from .readers import ENDLESS, Readers, Room
from .stream import Stream
from .transport import Exchange, Status, StatusError

REQUEST_ID: Final = "x-request-id"
MAX_REQUEST_ID: Final = 128
"""A request id is cut to this length in logs: a client may send its own."""

WHOLE: Final = 4.0
"""Seconds from asking for a large or compressed body to its decision: less than the gateway's deadline (5 s), which
begins later. A router that is too busy for it says so, where the gateway could only say that it waited in vain."""

_log = logging.getLogger("routegen.processor")


@dataclass(frozen=True, slots=True)
class Active:
    """Everything that follows from one configuration. A stream keeps the one that it started with."""

    policy: Policy
    registry: Knowing
    replies: wire.Replies


@dataclass(slots=True)
class _Call:
    """One stream on its way to a decision."""

    stream: Stream
    active: Active
    exchange: Exchange
    reservation: Reservation | None = None
    """Given back at its end."""
    request_id: str = ""


class Processor:
    """Decides requests. Lives on one event loop."""

    def __init__(
        self,
        current: Callable[[], Active],
        admission: Admission,
        journal: Journal,
        metrics: Metrics,
        starting: Callable[[], bool] = lambda: False,
    ) -> None:
        """Prepare.

        :param starting: whether this router has only just begun to ask the engines, so that another one knows more.
        """
        self._current, self._admission, self._journal, self._metrics = current, admission, journal, metrics
        self._starting = starting
        self._readers = Readers()

    def close(self) -> None:
        """End the reader processes."""
        self._readers.close()

    async def process(self, exchange: Exchange) -> bytes:
        """Handle one stream; returns its last reply.

        It ends right after the decision: a stream that stays open is held until the engine's answer ends.

        :raises StatusError: there is no decision. Envoy reads a good end without one as "let the request pass", and
            asks another router where this one is unavailable; only now, before the first reply, does it do so.
        """
        if self._starting():
            raise StatusError(Status.UNAVAILABLE, "this router has only just started")
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
        call = _Call(stream, active, exchange)
        try:
            return await self._converse(call)
        finally:
            if call.reservation is not None:
                call.reservation.release()

    async def _in_time(self, call: _Call) -> bytes | None:
        """Go on, with a body that others may have to be read before."""
        try:
            async with asyncio.timeout(WHOLE) as deadline:
                return await self._converse(call)
        except TimeoutError:
            if not deadline.expired():
                raise
            reply = call.stream.refuse(refusals.overloaded())
            return self._conclude(call, reply, call.active.replies.encode(reply), WHOLE)

    async def _converse(self, call: _Call) -> bytes | None:
        encode = call.active.replies.encode
        while isinstance(message := await call.exchange.read(), bytes):
            began = time.perf_counter()
            event, protocol = wire.read(message)
            del message
            if isinstance(event, Body):
                room = call.reservation or ENDLESS
                reply: Reply = await self._on_body(call.stream, call.active.policy, event, room)
            else:
                reply = _step(call.stream, event, protocol)
            if isinstance(event, Headers):
                call.request_id = _request_id(event)
            del event  # don't hold a large body while the reply is on its way
            answer = encode(reply)
            took = time.perf_counter() - began
            if isinstance(reply, Routed) and reply.change is not None and call.reservation is not None:
                _hold_until_sent(call.reservation, len(answer), call.exchange)
                # The journal needs no body.
                call.reservation, reply = None, msgspec.structs.replace(reply, change=None)
            if isinstance(reply, Continue):  # at most once: headers that come twice are a fault
                call.reservation = await self._admission.reserve(reply.body_bytes)
                if call.reservation is not None:
                    await call.exchange.write(answer)
                    if reply.body_bytes > SMALL_BYTES or call.stream.packing.codings:
                        return await self._in_time(call)
                    continue
                reply = call.stream.refuse(refusals.overloaded())
                answer = encode(reply)
            return self._conclude(call, reply, answer, took)
        return None

    def _conclude(self, call: _Call, reply: Routed | Answer, answer: bytes, took: float) -> bytes:
        """Count and log the last reply; its bytes."""
        self._journal.add(reply, took, call.stream.body_bytes, call.request_id)
        if isinstance(reply, Answer) and reply.fault is not None:
            what = "a rule failed" if reply.code == "rule_failed" else "the gateway is set up wrongly"
            _log.error(what, extra={"fields": {"fault": reply.fault}})
        return answer

    async def _on_body(self, stream: Stream, policy: Policy, body: Body, room: Room) -> Routed | Answer:
        refused = stream.take(body)
        if refused is not None:
            return refused
        how = policy.reading(stream.path)
        found = await self._readers.read(how.reads, how.reader, body.data, stream.packing, room)
        return stream.on_fields(found, body.data)


def _hold_until_sent(reservation: Reservation, size: int, exchange: Exchange) -> None:
    """Count what is on its way to the gateway in place of what it was made of, which is gone."""
    reservation.shrink(reservation.size - size)
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
