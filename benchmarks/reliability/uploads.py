"""A thousand clients announce bodies and send nothing, or a byte now and then; others must not notice."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

from support.gateway import Gateway, gateway

from .claims import Claim, p99

ATTACKERS: Final = 1000
ROUNDS: Final = 3
"""Of quiet and attack in turn, so that a neighbour's work meets both alike."""
EACH: Final = 60
"""Requests of each kind a round."""
ROUTES: Final = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: uploads}
spec:
  gateway: {target: envoy}
  backends:
    vllm: {endpoints: [127.0.0.1:8001], ownedBy: vllm, models: [m]}
"""
KINDS: Final = {f"{size} {framing}": (size, framing) for size in ("53 B", "1 MB") for framing in ("length", "chunked")}
BODIES: Final = {
    "53 B": json.dumps({"model": "m", "user": "x" * 26}).encode(),
    "1 MB": json.dumps({"model": "m", "user": "x" * 1_000_000}).encode(),
}


@contextmanager
def attacked(gate: Gateway) -> Iterator[None]:
    """Have the attackers at work."""
    command = [sys.executable, "-m", "reliability.attackers", str(gate.port), str(ATTACKERS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"ready\n"
            yield
        finally:
            process.kill()


def send(gate: Gateway, kind: str) -> tuple[int, float]:
    """One honest request: status and seconds."""
    size, framing = KINDS[kind]
    body = BODIES[size]
    began = time.perf_counter()
    reply = gate.request("POST", "/v1/chat/completions", body if framing == "length" else iter([body[:20], body[20:]]))
    return reply.status, time.perf_counter() - began


def measure(gate: Gateway, seen: dict[str, list[tuple[int, float]]]) -> None:
    """Send the honest requests, four at a time, kinds mixed."""
    with ThreadPoolExecutor(4) as pool:
        order = [kind for _ in range(EACH) for kind in KINDS]
        for kind, result in zip(order, pool.map(lambda kind: send(gate, kind), order), strict=True):
            seen[kind].append(result)


def run() -> Iterable[Claim]:
    """Compare honest requests with and without the attack."""
    quiet: dict[str, list[tuple[int, float]]] = {kind: [] for kind in KINDS}
    attack: dict[str, list[tuple[int, float]]] = {kind: [] for kind in KINDS}
    with gateway(ROUTES, {"vllm": ["m"]}) as gate:
        measure(gate, {kind: [] for kind in KINDS})
        for _ in range(ROUNDS):
            measure(gate, quiet)
            with attacked(gate):
                held = gate.envoy.stat("http.routegen.downstream_rq_active")
                measure(gate, attack)
                streams = gate.envoy.stat("cluster.router.upstream_rq_active")
        yield Claim("connections in the middle of an upload", str(held), held >= ATTACKERS * 0.9)
        yield Claim("streams that they hold at the router", str(streams), streams == 0)
    for kind in KINDS:
        statuses = Counter(status for status, _ in attack[kind])
        refused = statuses.total() - statuses[HTTPStatus.OK]
        yield Claim(f"{kind}: none of {statuses.total()} refused", f"{refused} refused", refused == 0)
        before, beside = p99([took for _, took in quiet[kind]]), p99([took for _, took in attack[kind]])
        shown = f"{1000 * before:.0f} ms, {1000 * beside:.0f} ms under attack, {beside / before:.2f} times"
        yield Claim(f"{kind}: p99 at most doubled", shown, beside <= 2 * before)
