"""Whatever a gateway sends, in whatever order: no stream ends well without a decision, and nothing is left behind.

Envoy reads a stream that ends well without a reply as "let the request pass", so this is what keeps the gateway from
failing open.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from typing import Any, ClassVar, TypeVar
from unittest import mock

import grpc
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from routegen_router import readers
from routegen_router._pb import extproc_pb2 as pb
from routegen_router.admission import Admission
from routegen_router.grpc_transport import GrpcTransport
from routegen_router.health import Health
from routegen_router.journal import Journal
from routegen_router.metrics import Metrics
from routegen_router.policy import Policy
from routegen_router.poller import Registry
from routegen_router.processor import Active, Processor
from routegen_router.wire import Replies
from support.router import PATIENCE, PROCESS, body, headers, router_config, wait_for

LIMIT = 4096
LARGE = 256
"""Longer messages are read in a thread here, so that both ways are taken."""
T = TypeVar("T")


class Router:
    """A processor in a real gRPC server, and a channel to it, on an event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        config = router_config(max_body_bytes=LIMIT, max_inflight_bytes=2 * LIMIT)
        active = Active(Policy(config), Registry(config, None, lambda: None), Replies(config.routing_header))
        self.admission = Admission(config.max_inflight_bytes)
        metrics = Metrics()
        journal = Journal(metrics, lambda *_line: None)
        self._processor = Processor(lambda: active, self.admission, journal, metrics)
        self.run(self._start())

    async def _start(self) -> None:
        self._server = GrpcTransport(self._processor, Health(), 4 * LIMIT)
        where = self._server.bind("127.0.0.1:0")
        await self._server.start()
        self._channel = grpc.aio.insecure_channel(where)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run on the loop and wait."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def open(self) -> Talk:
        """Open a stream."""

        async def call() -> grpc.aio.StreamStreamCall[bytes, bytes]:
            return self._channel.stream_stream(PROCESS)()

        return Talk(self, self.run(call()))

    def close(self) -> None:
        """Stop everything."""

        async def stop() -> None:
            self._processor.close()
            await self._channel.close()
            await self._server.stop(0)

        self.run(stop())
        self._loop.call_soon_threadsafe(self._loop.stop)


class Talk:
    """One stream, as the gateway sees it."""

    def __init__(self, router: Router, call: grpc.aio.StreamStreamCall[bytes, bytes]) -> None:
        self._router, self._call = router, call
        self.sent = 0
        self.replies: list[pb.ProcessingResponse] = []
        self.ended: grpc.StatusCode | None = None

    def send(self, message: bytes) -> None:
        """Send one message and take the reply or the end, as Envoy does."""
        self._router.run(self._exchange(message))
        self.check()

    def half_close(self) -> None:
        """End our side; the router's end must follow."""
        self._router.run(self._finish())
        self.check()

    def cancel(self) -> None:
        """Break off, as Envoy does when its client leaves."""
        self._call.cancel()
        self.ended = grpc.StatusCode.CANCELLED

    def check(self) -> None:
        """What must hold however the stream ended."""
        if self.ended is None:
            assert len(self.replies) == self.sent
            assert all(reply.WhichOneof("response") == "request_headers" for reply in self.replies)
        if self.ended is grpc.StatusCode.OK:
            assert len(self.replies) == self.sent > 0
            *before, last = self.replies
            assert all(reply.WhichOneof("response") == "request_headers" for reply in before)
            if last.WhichOneof("response") == "request_body":
                [change] = last.request_body.response.header_mutation.set_headers
                assert change.header.raw_value in {b"vllm", b"sglang"}
                assert last.request_body.response.clear_route_cache
            else:
                assert last.immediate_response.status.code in {200, 400, 404, 413, 415, 500, 503}
                assert last.immediate_response.body

    async def _exchange(self, message: bytes) -> None:
        self.sent += 1
        try:
            await self._call.write(message)
            await self._take()
            if self.ended is None and self.replies[-1].WhichOneof("response") != "request_headers":
                await self._take()
                assert self.ended is not None, "a decision must end the stream"
        except grpc.aio.AioRpcError as error:
            self.ended = error.code()
        except asyncio.InvalidStateError:
            self.ended = await self._call.code()

    async def _finish(self) -> None:
        try:
            await self._call.done_writing()
            while self.ended is None:
                await self._take()
        except grpc.aio.AioRpcError as error:
            self.ended = error.code()

    async def _take(self) -> None:
        answer = await self._call.read()
        if answer is grpc.aio.EOF:
            self.ended = await self._call.code()
        else:
            self.replies.append(pb.ProcessingResponse.FromString(answer))


TEXT = st.text(max_size=8)
PAIRS = {
    "content-length": st.sampled_from(["0", "2", str(LIMIT), str(LIMIT + 1), "0" * 40, "-1", "9" * 30, "x", "٣"]),
    "content-encoding": st.sampled_from(["identity", "gzip", "zstd, br", ""]),
    "x-tier": st.sampled_from(["gold", "tin", ""]),
    "x-request-id": TEXT,
}
HEADERS = st.builds(
    headers,
    st.sampled_from(["POST", "POST", "POST", "GET", "", "CONNECT"]),
    st.sampled_from(["/v1/chat/completions", "/v1/models", "/v1/models/shared", "/", "", "/v1/chat/completions?x"]),
    end=st.booleans(),
    mode=st.sampled_from([pb.ProcessingMode.BUFFERED] * 5 + [0, 1, 4, 99]),
    more=st.fixed_dictionaries({}, optional=PAIRS),
)
TEXTS = {
    "empty": b"{}",
    "chooses": b'{"inference_server":"sglang"}',
    "refused": b'{"model":"only-vllm","inference_server":"sglang"}',
    "twice": b'{"model":null,"model":"shared"}',
    "half a pair": b'{"x":"\\ud800"}',
    "deep": b'{"x":' + b"[" * 2000,
    "over the limit": b"{}" + b" " * LIMIT,
    "over the declared size": b"{}" + b" " * (LIMIT - 100),
    "over what gRPC takes": b"{}" + b" " * 5 * LIMIT,
    "long model": b'{"model":"' + b"m" * 1000 + b'"}',
}
BODIES = st.builds(
    body,
    st.one_of(
        st.sampled_from(sorted(TEXTS)).map(lambda name: TEXTS[name]),
        st.binary(max_size=600),
    ),
    end=st.booleans(),
)
HTTP_HEADERS = pb.HttpHeaders(headers=pb.HeaderMap(headers=[pb.HeaderValue(key=":status", raw_value=b"\xff")]))
OTHERS = st.sampled_from(
    [
        pb.ProcessingRequest(),
        pb.ProcessingRequest(request_headers=pb.HttpHeaders()),
        pb.ProcessingRequest(request_trailers=pb.HttpTrailers()),
        pb.ProcessingRequest(response_headers=HTTP_HEADERS),
        pb.ProcessingRequest(response_body=pb.HttpBody(body=b"x", end_of_stream=True)),
        pb.ProcessingRequest(response_trailers=pb.HttpTrailers()),
        pb.ProcessingRequest(observability_mode=True, request_body=pb.HttpBody(body=b"{}")),
    ]
)
UNKNOWN_FIELD = b"\xfa\x01\x03abc"
"""Field 31, of which nobody knows."""
KNOWN = st.one_of(HEADERS, BODIES, OTHERS).map(lambda message: message.SerializeToString())
GARBAGE = st.one_of(
    st.binary(max_size=600),
    st.just(UNKNOWN_FIELD),
    st.tuples(KNOWN, st.integers(0, 100)).map(lambda pair: pair[0][: pair[1]]),
    st.tuples(KNOWN, KNOWN).map(b"".join),
    KNOWN.map(lambda message: message + UNKNOWN_FIELD),
    KNOWN.map(lambda message: message + b"\xff"),
)


class Gateway(RuleBasedStateMachine):
    """A gateway that has lost its mind: many streams at once, anything on each."""

    router: ClassVar[Router]
    streams = Bundle("streams")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[Talk] = []

    @rule(target=streams)
    def opens(self) -> Talk:
        """Open a stream."""
        talk = self.router.open()
        self.open.append(talk)
        return talk

    @rule(talk=streams, message=HEADERS)
    def sends_headers(self, talk: Talk, message: pb.ProcessingRequest) -> None:
        """Headers, valid and less so."""
        self._send(talk, message.SerializeToString())

    @rule(talk=streams, message=BODIES)
    def sends_a_body(self, talk: Talk, message: pb.ProcessingRequest) -> None:
        """A body, due or not."""
        self._send(talk, message.SerializeToString())

    @rule(talk=streams, message=OTHERS)
    def sends_what_is_not_due(self, talk: Talk, message: pb.ProcessingRequest) -> None:
        """A message that is never due."""
        self._send(talk, message.SerializeToString())

    @rule(talk=streams, message=GARBAGE)
    def sends_garbage(self, talk: Talk, message: bytes) -> None:
        """No message at all, or half of one, or two in one."""
        self._send(talk, message)

    @rule(talk=streams)
    def ends_its_side(self, talk: Talk) -> None:
        """End the stream from this side."""
        if talk.ended is None:
            talk.half_close()
            assert talk.ended is not grpc.StatusCode.OK, "no decision, and yet a good end"

    @rule(talk=streams)
    def breaks_off(self, talk: Talk) -> None:
        """Reset the stream."""
        if talk.ended is None:
            talk.cancel()

    @invariant()
    def no_count_is_negative(self) -> None:
        """Nothing is given back twice."""
        assert self.router.admission.in_flight >= 0
        assert self.router.admission.requests >= 0

    def teardown(self) -> None:
        """Nothing is left, and the router still decides."""
        for talk in self.open:
            if talk.ended is None:
                talk.half_close()
        admission = self.router.admission
        wait_for(lambda: (admission.in_flight, admission.requests) == (0, 0), "all reservations to be given back")
        whole = self.router.open()
        whole.send(headers().SerializeToString())
        whole.send(body({"inference_server": "sglang"}).SerializeToString())
        assert whole.ended is grpc.StatusCode.OK
        [change] = whole.replies[-1].request_body.response.header_mutation.set_headers
        assert change.header.raw_value == b"sglang"

    @staticmethod
    def _send(talk: Talk, message: bytes) -> None:
        if talk.ended is None:
            talk.send(message)


@pytest.fixture(scope="module")
def router() -> Iterator[Router]:
    with mock.patch.object(readers, "AT_ONCE", LARGE), mock.patch.object(readers, "CAREFULLY", 100):
        running = Router()
        yield running
        running.close()


def test_no_sequence_of_messages_ends_a_stream_well_without_a_decision(router: Router) -> None:
    Gateway.router = router
    run_state_machine_as_test(
        Gateway,
        settings=settings(
            max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
