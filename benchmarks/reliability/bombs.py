"""Compressed bodies that are huge decoded, also nested ones, and what others notice of them.

A kilobyte may stand for gigabytes. Four clients send such bodies, of four codings and nested, as fast as they are
refused, while others send small requests; the router's memory is that of its process and its readers.
"""

from __future__ import annotations

import itertools
import statistics
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from support.encoded import encoded
from support.gateway import Gateway, gateway

from .claims import Claim, p99

MIB = 1 << 20
DECODED = 400 * MIB
"""What a bomb stands for: more than 10,000 times its size where the coding gets that far; gzip nested does."""
LIMIT = "32Mi"
CLIENTS = 4
SMALL_A_SECOND, SECONDS = 50, 8.0
CODINGS = [("gzip",), ("deflate",), ("br",), ("zstd",), ("gzip", "gzip"), ("zstd", "br"), ("gzip", "zstd")]
REFUSED = 413
ROUTES = f"""\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {{name: bombs}}
spec:
  gateway: {{target: envoy}}
  maxBodyBytes: {LIMIT}
  backends:
    vllm: {{endpoints: [127.0.0.1:8001], ownedBy: vllm, models: [m]}}
"""


def run() -> Iterable[Claim]:
    """Small requests alone, then beside the bombs."""
    bombs = {codings: encoded(bytes(DECODED), *codings) for codings in CODINGS}
    with gateway(ROUTES, {"vllm": ["m"]}) as gate:
        _small(gate, 1.0)
        before = _memory(gate)
        alone, failed_alone = _small(gate, SECONDS)
        done = threading.Event()
        with ThreadPoolExecutor(CLIENTS) as clients:
            sent = [clients.submit(_send, gate, bombs, number, done) for number in range(CLIENTS)]
            beside, failed = _small(gate, SECONDS)
            done.set()
        answers = [answer for client in sent for answer in client.result()]
        after = _memory(gate)
    refused = sum(status == REFUSED for status, _ in answers)
    ratios = ", ".join(f"{'+'.join(codings)} {DECODED // len(bomb):,}:1" for codings, bomb in bombs.items())
    took = statistics.median(seconds for _, seconds in answers) * 1000
    yield Claim(f"every bomb is 413 ({ratios})", f"{refused} of {len(answers)}", refused == len(answers))
    yield Claim("none of the others fails", f"{failed_alone} alone, {failed} beside", failed_alone + failed == 0)
    yield Claim("a bomb's answer, median", f"{took:.0f} ms", None)
    yield Claim("others' p99", f"{p99(alone) * 1000:.0f} ms alone, {p99(beside) * 1000:.0f} ms beside", None)
    grown = "; ".join(f"{name} {size} MB" for name, size in after.items())
    yield Claim("peak memory of the router and its readers", f"{grown}; before: {sum(before.values())} MB", None)


def _send(
    gate: Gateway, bombs: dict[tuple[str, ...], bytes], first: int, done: threading.Event
) -> list[tuple[int, float]]:
    """Status and seconds of each bomb, one after the other."""
    answers: list[tuple[int, float]] = []
    for codings in itertools.islice(itertools.cycle(bombs), first, None):
        if done.is_set():
            return answers
        began = time.monotonic()
        reply = gate.post(bombs[codings], headers=[("content-encoding", ", ".join(codings))])
        answers.append((reply.status, time.monotonic() - began))
    return answers


def _small(gate: Gateway, seconds: float) -> tuple[list[float], int]:
    """Latencies from when a request was due (open loop), and how many failed."""

    def ask(due: float) -> tuple[float, bool]:
        time.sleep(max(due - time.monotonic(), 0))
        failed = gate.post(b'{"model":"m","messages":[]}').status != 200  # noqa: PLR2004 - the good answer
        return time.monotonic() - due, failed

    began = time.monotonic()
    with ThreadPoolExecutor(32) as askers:
        told = list(
            askers.map(ask, (began + number / SMALL_A_SECOND for number in range(int(seconds * SMALL_A_SECOND))))
        )
    return [latency for latency, _ in told], sum(failed for _, failed in told)


def _memory(gate: Gateway) -> dict[str, int]:
    """Megabytes that the router and each of its readers have had resident at most."""
    assert gate.router is not None
    pid = gate.router.process.pid
    return {"router": _peak(pid)} | {f"reader {n}": _peak(one) for n, one in enumerate(_children(pid), 1)}


def _children(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        yield from map(int, (task / "children").read_text().split())


def _peak(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))
