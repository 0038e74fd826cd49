"""What deciding a request costs, counted in calls of functions: the same on every machine, whatever else it does.

Microseconds are the benchmarks' business (docs/performance.md).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from routegen_router import wire
from routegen_router.admission import Admission
from routegen_router.config import Backend
from routegen_router.journal import Journal
from routegen_router.metrics import Metrics
from routegen_router.policy import Policy
from routegen_router.poller import Registry
from routegen_router.processor import Active, Processor
from support.router import body, headers, router_config

MOST_CALLS = 170
"""A seventh more than it takes, transport and telling left out. Each costs several times as much between two requests
as it does in a loop, since its code has to come back into the processor's caches."""


class Counted:
    """A request whose messages are all there."""

    def __init__(self, *messages: bytes) -> None:
        self._messages = list(messages)

    async def read(self) -> object:
        """The next message."""
        return self._messages.pop(0)

    async def write(self, message: bytes) -> None:
        """Take it."""

    def cancelled(self) -> bool:
        """Never."""
        return False

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Nothing waits for its end."""


async def test_a_request_takes_few_calls() -> None:
    backends = (
        Backend(name="vllm", owner="vllm", models=("m",), seconds=("sglang",)),
        Backend(name="sglang", owner="sglang", models=("m",), seconds=("vllm",)),
    )
    settings = router_config(backends=backends)
    active = Active(Policy(settings), Registry(settings, None, lambda: None), wire.Replies("x-inference-server"))
    metrics = Metrics()
    journal = Journal(metrics, lambda *_: None)
    processor = Processor(lambda: active, Admission(settings.max_inflight_bytes), journal, metrics)
    content = body({"model": "m", "inference_server": "sglang", "messages": [{"role": "user", "content": "x" * 4000}]})
    messages = headers(more={"content-length": "4096"}).SerializeToString(), content.SerializeToString()
    for _ in range(20):  # what is made once is made here
        await processor.process(Counted(*messages))

    count = 0

    def called(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal count
        count += event.endswith("call")

    before = sys.getprofile()
    sys.setprofile(called)
    try:
        for _ in range(10):
            await processor.process(Counted(*messages))
    finally:
        sys.setprofile(before)
    processor.close()
    assert count / 10 < MOST_CALLS
