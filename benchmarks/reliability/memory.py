"""200 bodies of 8 MB at an engine that has stopped answering: memory stays bounded, and the other engine is served."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Final

from processes import Watched

from routegen.plan import Addresses
from support.engines import never_reading
from support.gateway import Gateway, first_backend, gateway
from support.uploading import upload

from .claims import Claim

COUNT: Final = 200
SIZE: Final = 8_000_000
HELD: Final = 20.0
"""Seconds that the clients wait for their answers."""
ROUTES: Final = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: memory}
spec:
  gateway: {target: envoy, memory: MEMORY}
  router: {maxInflightBytes: INFLIGHT}
  backends:
    stopped: {endpoints: [127.0.0.1:8001], ownedBy: vllm, models: [m], poll: {enabled: false}}
    other: {endpoints: [127.0.0.1:8002], ownedBy: sglang, models: [m]}
"""
ROUTER_LIMIT_MIB: Final = 1024
"""The default of ``router.resources.limits.memory``."""


def body() -> bytes:
    """One upload to the stopped engine."""
    frame = json.dumps({"model": "m", "inference_server": "stopped", "user": ""}).encode()
    return frame[:-2] + b"x" * (SIZE - len(frame)) + frame[-2:]


def beside(gate: Gateway, done: threading.Event, seen: list[int | str]) -> None:
    """Small requests to the other engine, one after the other."""
    while not done.is_set():
        try:
            seen.append(gate.post({"model": "m", "inference_server": "other"}).status)
        except OSError as error:
            seen.append(type(error).__name__)
        time.sleep(0.1)


def attack(memory: str, megabytes: int, inflight: str, at_once: int) -> Iterable[Claim]:
    """All bodies, so many coming in at once, with this much memory for Envoy."""
    routes = ROUTES.replace("MEMORY", memory).replace("INFLIGHT", inflight)
    with (
        never_reading() as address,
        gateway(routes, {"stopped": ["m"], "other": ["m"]}, adjust=first_backend(reach=Addresses((address,)))) as gate,
        ThreadPoolExecutor(COUNT) as pool,
    ):
        assert gate.router is not None
        envoy, router = Watched(gate.envoy.pid), Watched(gate.router.process.pid)
        done, others = threading.Event(), list[int | str]()
        watching = threading.Thread(target=beside, args=(gate, done, others))
        watching.start()
        sent, turn = body(), threading.Semaphore(at_once)

        def send(_: int) -> str:
            return upload(gate.port, sent, HELD, turn)

        outcomes = Counter(pool.map(send, range(COUNT)))
        done.set()
        watching.join()
        peak, of_router = envoy.peak(), router.peak()
    failed = [status for status in others if status != HTTPStatus.OK]
    said = ", ".join(f"{count} {what}" for what, count in outcomes.most_common())
    refused = {what for what in outcomes if what != "held" and not what.startswith("503 ")}
    shown = f"{len(failed)} of {len(others)} failed {sorted(map(str, set(failed)))}"
    what = f"{memory}, {at_once} at once"
    yield Claim(f"{what}: Envoy's peak resident is at most that", f"{peak:.0f} MiB", peak <= megabytes)
    yield Claim(f"{what}: the router's peak at most its limit", f"{of_router:.0f} MiB", of_router <= ROUTER_LIMIT_MIB)
    yield Claim(f"{what}: {COUNT} uploads; what is refused is 503 as JSON", said, not refused)
    rare = len(failed) <= len(others) / 10
    yield Claim(f"{what}: of small requests to the other engine at most one in ten fails", shown, rare)


def run() -> Iterable[Claim]:
    """With the default memory, which is a little more than what comes, and with a third of what comes."""
    for at_once in (COUNT, 10):
        yield from attack("2Gi", 2048, "256Mi", at_once)
        yield from attack("512Mi", 512, "64Mi", at_once)
