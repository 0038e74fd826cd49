"""One of two routers hangs (SIGSTOP) under load: requests wait for a moment, and none fails."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Final

from routegen.emit import limits
from support.gateway import gateway

from .claims import Claim

ROUTES: Final = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: hanging}
spec:
  gateway: {target: envoy}
  backends:
    vllm: {endpoints: [127.0.0.1:8001], ownedBy: vllm, models: [m]}
"""
TIMES: Final = 5
SECONDS: Final = 8.0
RATE: Final = 50
"""Requests a second, sent whether or not earlier ones are answered."""


def run() -> Iterable[Claim]:
    """Stop a router again and again."""
    statuses: Counter[int] = Counter()
    longest = 0.0
    with gateway(ROUTES, {"vllm": ["m"]}) as first:
        assert first.router is not None
        other = first.router.process
        with gateway(ROUTES, {"vllm": ["m"]}, beside=[first.router.address]) as gate, ThreadPoolExecutor(200) as pool:

            def send(_: int) -> tuple[int, float]:
                began = time.perf_counter()
                return gate.post({"model": "m"}).status, time.perf_counter() - began

            for _ in range(TIMES):
                sent = []
                other.send_signal(signal.SIGSTOP)
                for index in range(int(SECONDS * RATE)):
                    sent.append(pool.submit(send, index))
                    time.sleep(1 / RATE)
                results = [one.result() for one in sent]
                other.send_signal(signal.SIGCONT)
                time.sleep(3)
                statuses.update(status for status, _ in results)
                longest = max(longest, *(took for _, took in results))
    failed = statuses.total() - statuses[HTTPStatus.OK]
    yield Claim(f"stopped {TIMES} times: none of {statuses.total()} requests fails", f"{failed} failed", failed == 0)
    yield Claim("the longest that one waited", f"{longest:.1f} s", longest < limits.DECISION)
