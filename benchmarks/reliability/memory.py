"""200 bodies of 8 MB at an engine that has stopped answering: memory stays bounded, and the other engine is served."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

from processes import Watched

from routegen.plan import Addresses
from support.gateway import Gateway, first_backend, gateway

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
  backends:
    stopped: {endpoints: [127.0.0.1:8001], ownedBy: vllm, models: [m], poll: {enabled: false}}
    other: {endpoints: [127.0.0.1:8002], ownedBy: sglang, models: [m]}
"""
ROUTER_LIMIT_MB: Final = 1024
"""The default of ``router.resources.limits.memory``."""


@contextmanager
def stopped() -> Iterator[tuple[str, int]]:
    """An address where connections are taken by the kernel and nobody ever reads."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        nobody.listen(4096)
        yield "127.0.0.1", nobody.getsockname()[1]


async def upload(port: int, turn: asyncio.Semaphore) -> str:
    """Send one body to the stopped engine; what came of it within :data:`HELD` seconds."""
    frame = json.dumps({"model": "m", "inference_server": "stopped", "user": ""}).encode()
    body = frame[:-2] + b"x" * (SIZE - len(frame)) + frame[-2:]
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\ncontent-length: {len(body)}\r\n\r\n"
        async with turn:
            writer.write(head.encode() + body)
            await writer.drain()
        async with asyncio.timeout(HELD):
            answer = await reader.read(65536)
        writer.close()
    except TimeoutError:
        return "held"
    except OSError:
        return "closed"
    if not answer:
        return "closed"
    code = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"]
    return f"{answer.split()[1].decode()} {code}"


def beside(gate: Gateway, done: threading.Event, seen: list[int | str]) -> None:
    """Small requests to the other engine, one after the other."""
    while not done.is_set():
        try:
            seen.append(gate.post({"model": "m", "inference_server": "other"}).status)
        except OSError as error:
            seen.append(type(error).__name__)
        time.sleep(0.1)


def attack(memory: str, megabytes: int, at_once: int) -> Iterable[Claim]:
    """All bodies, so many coming in at once, with this much memory for Envoy."""
    routes = ROUTES.replace("MEMORY", memory)
    with (
        stopped() as address,
        gateway(routes, {"stopped": ["m"], "other": ["m"]}, adjust=first_backend(reach=Addresses((address,)))) as gate,
    ):
        assert gate.router is not None
        envoy, router = Watched(gate.envoy.pid), Watched(gate.router.process.pid)
        done, others = threading.Event(), list[int | str]()
        watching = threading.Thread(target=beside, args=(gate, done, others))
        watching.start()

        async def everybody() -> Counter[str]:
            turn = asyncio.Semaphore(at_once)
            return Counter(await asyncio.gather(*(upload(gate.port, turn) for _ in range(COUNT))))

        outcomes = asyncio.run(everybody())
        done.set()
        watching.join()
        peak, of_router = envoy.peak(), router.peak()
    failed = [status for status in others if status != HTTPStatus.OK]
    said = ", ".join(f"{count} {what}" for what, count in outcomes.most_common())
    refused = {what for what in outcomes if what not in {"held", "closed"} and not what.startswith(("503 ", "504 "))}
    shown = f"{len(failed)} of {len(others)} failed {sorted(map(str, set(failed)))}"
    enough = megabytes * 1_000_000 > COUNT * SIZE
    yield Claim(f"{memory}: Envoy's peak resident", f"{peak:.0f} MB", peak <= megabytes if enough else None)
    yield Claim(f"{memory}: the router's peak at most its limit", f"{of_router:.0f} MB", of_router <= ROUTER_LIMIT_MB)
    yield Claim(f"{memory}: {COUNT} uploads; what is answered is 503 or 504 as JSON", said, not refused)
    rare = len(failed) <= len(others) / 20 if enough else None
    yield Claim(f"{memory}: of requests to the other engine one in twenty may fail", shown, rare)


def run() -> Iterable[Claim]:
    """In one burst with enough memory for it, which is the default, and ten at a time with a third of that."""
    yield from attack("2Gi", 2048, at_once=COUNT)
    yield from attack("512Mi", 512, at_once=10)
