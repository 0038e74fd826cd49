"""The processor inside a real gRPC server in this process: what only a broken part of it can show."""

from __future__ import annotations

import grpc
import pytest

from routegen_router.admission import Admission
from routegen_router.grpc_transport import GrpcTransport
from routegen_router.health import Health
from routegen_router.journal import Journal
from routegen_router.metrics import Metrics
from routegen_router.policy import Policy
from routegen_router.poller import Registry
from routegen_router.processor import Active, Processor
from routegen_router.wire import Replies
from support.router import PROCESS, body, headers, router_config


async def test_an_error_in_the_router_ends_the_stream_with_an_error_and_no_word_of_the_body(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken:
        def read_at_once(self, raw: bytes) -> None:
            raise RuntimeError(raw.decode())

    settings = router_config()
    policy = Policy(settings)
    policy.reading(settings.paths[0]).reader = Broken()  # type: ignore[assignment]
    active = Active(policy, Registry(settings, None, lambda: None), Replies("x-inference-server"))
    admission, metrics = Admission(settings.max_inflight_bytes), Metrics()
    journal = Journal(metrics, lambda *_line: None)
    transport = GrpcTransport(Processor(lambda: active, admission, journal, metrics), Health(), 1 << 20)
    where = transport.bind("127.0.0.1:0")
    await transport.start()
    async with grpc.aio.insecure_channel(where) as channel:
        call = channel.stream_stream(PROCESS)()
        await call.write(headers(more={"content-length": "100"}).SerializeToString())
        await call.read()
        await call.write(body({"prompt": "my secret"}).SerializeToString())
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
    await transport.stop(0)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in str(caught.value)
    assert "routegen_stream_failures_total 1.0" in metrics.render().decode()
    assert admission.in_flight == 0
    assert [record.message for record in caplog.records] == ["stream failed"]
