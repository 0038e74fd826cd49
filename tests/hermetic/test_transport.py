"""The seam: what decides and what tells its health need bytes and nothing of gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from routegen_router import processor as processing
from routegen_router import wire
from routegen_router._pb import extproc_pb2 as pb
from routegen_router._pb import health_pb2
from routegen_router.admission import Admission
from routegen_router.health import Health
from routegen_router.journal import Journal
from routegen_router.metrics import Metrics
from routegen_router.policy import Policy
from routegen_router.poller import Registry
from routegen_router.processor import Active, Processor
from routegen_router.transport import Status, StatusError
from support.router import body, headers, router_config


class Told:
    """A stream whose messages are all there."""

    def __init__(self, *messages: bytes, broken_off: bool = False) -> None:
        self.sent: list[bytes] = []
        self._messages, self._broken_off = list(messages), broken_off

    async def read(self) -> object:
        """The next one, or nothing."""
        return self._messages.pop(0) if self._messages else None

    async def write(self, message: bytes) -> None:
        """Keep it."""
        if self._broken_off:
            raise ConnectionError
        self.sent.append(message)

    def cancelled(self) -> bool:
        """As told."""
        return self._broken_off

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """It has ended already."""
        callback(self)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def processor(metrics: Metrics) -> AsyncIterator[Processor]:
    settings = router_config()
    active = Active(Policy(settings), Registry(settings, None, lambda: None), wire.Replies("x-inference-server"))
    made = Processor(lambda: active, Admission(settings.max_inflight_bytes), Journal(metrics, lambda *_: None), metrics)
    yield made
    made.close()


HEADERS = headers(more={"content-length": "30"}).SerializeToString()
BODY = body({"inference_server": "sglang"}).SerializeToString()


async def test_a_stream_is_read_message_by_message_and_its_last_reply_returned(processor: Processor) -> None:
    stream = Told(HEADERS, BODY)
    decision = pb.ProcessingResponse.FromString(await processor.process(stream))
    (header,) = decision.request_body.response.header_mutation.set_headers
    assert header.header.raw_value == b"sglang"
    assert len(stream.sent) == 1
    assert pb.ProcessingResponse.FromString(stream.sent[0]).WhichOneof("response") == "request_headers"


@pytest.mark.parametrize(
    ("stream", "counted"),
    [
        (Told(), "routegen_streams_abandoned_total 1.0"),
        (Told(HEADERS), "routegen_streams_abandoned_total 1.0"),
        (Told(HEADERS, BODY, broken_off=True), "routegen_streams_abandoned_total 1.0"),
        (Told(b"\xff"), "routegen_stream_failures_total 1.0"),
    ],
    ids=["empty", "without a body", "broken off", "nonsense"],
)
async def test_a_stream_without_a_decision_ends_with_an_error(
    processor: Processor, metrics: Metrics, stream: Told, counted: str
) -> None:
    with pytest.raises(StatusError) as caught:
        await processor.process(stream)
    assert caught.value.status is Status.INTERNAL
    assert counted in metrics.render().decode()


def asked(service: str) -> bytes:
    return health_pb2.HealthCheckRequest(service=service).SerializeToString()


async def test_health_is_told_in_bytes_now_and_at_every_change() -> None:
    health = Health()
    assert health.check(asked("")) == wire.NOT_SERVING
    with pytest.raises(StatusError, match="no such service") as caught:
        health.check(asked("other"))
    assert caught.value.status is Status.NOT_FOUND
    with pytest.raises(StatusError) as caught:
        health.check(b"\xff")
    assert caught.value.status is Status.INVALID_ARGUMENT

    seen: list[bytes] = []

    async def watch() -> None:
        async for status in health.watch(asked("")):
            seen.append(status)  # noqa: PERF401 - one by one, as they come

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0)
    health.set(serving=True)
    await asyncio.sleep(0)
    health.close()
    await watching
    assert seen == [wire.NOT_SERVING, wire.SERVING]


async def test_a_router_that_has_just_started_leaves_requests_to_others(metrics: Metrics) -> None:
    settings = router_config()
    active = Active(Policy(settings), Registry(settings, None, lambda: None), wire.Replies("x-inference-server"))
    journal, starting = Journal(metrics, lambda *_: None), [True]
    admission = Admission(settings.max_inflight_bytes)
    made = Processor(lambda: active, admission, journal, metrics, starting=lambda: starting[0])
    stream = Told(HEADERS, body({}).SerializeToString())
    with pytest.raises(StatusError) as caught:
        await made.process(stream)
    assert caught.value.status is Status.UNAVAILABLE
    assert stream.sent == []
    assert "routegen_stream_failures_total 0.0" in metrics.render().decode()
    starting[0] = False
    assert await made.process(stream)
    made.close()


@pytest.mark.parametrize("late", ["body", "reader"])
async def test_a_router_that_is_too_busy_says_so_before_the_gateway_gives_up(
    late: str, processor: Processor, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processing, "WHOLE", 0.05)
    large = headers(more={"content-length": "100000"}).SerializeToString()
    stream = Told(large, body({}).SerializeToString())

    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    if late == "body":
        monkeypatch.setattr(stream, "_messages", [large])
        heard = stream.read
        monkeypatch.setattr(stream, "read", lambda: heard() if stream._messages else never())
    else:
        monkeypatch.setattr(processor._readers, "read", never)
    answer = pb.ProcessingResponse.FromString(await processor.process(stream))
    assert answer.immediate_response.status.code == 503
    assert answer.immediate_response.details == "routegen_router_overloaded"
    assert processor._admission.in_flight == 0
    assert "routegen_stream_failures_total 0.0" in metrics.render().decode()
