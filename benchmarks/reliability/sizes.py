"""What a connection and a body cost Envoy: the heap that each adds, by counts of them; no claim, only figures."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Final

from routegen.plan import Addresses
from support.engines import never_reading
from support.gateway import Gateway, first_backend, gateway
from support.router import wait_for
from support.uploading import HEAD

from .claims import Claim

ROUTES: Final = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: sizes}
spec:
  gateway: {target: envoy, memory: 8Gi}
  backends:
    stopped: {endpoints: [127.0.0.1:8001], ownedBy: vllm, models: [m], poll: {enabled: false}}
    other: {endpoints: [127.0.0.1:8002], ownedBy: sglang, models: [m]}
  rules:
    - body: inference_server
    - split: {stopped: 99, other: 1}
"""
FLUSH: Final = 6.0
"""Seconds after which Envoy's own figure for its heap is new: it looks every 5 s."""
MANY: Final = 500
FEW: Final = 20
SIZE: Final = 8_000_000


def run() -> Iterable[Claim]:
    """Each kind on an Envoy of its own, so that what others have freed doesn't count."""
    for what, count, opened in (
        ("an idle connection", MANY, _idle),
        ("an upload that was announced and doesn't come", MANY, partial(_begun, length=0)),
        ("an upload of which 4 MB have come", FEW, partial(_begun, length=SIZE // 2)),
        ("a request of 1 KB that an engine doesn't read", MANY, partial(_held, size=1000, inference_server="stopped")),
        ("one of 500 KB", FEW, partial(_held, size=500_000, inference_server="stopped")),
        ("one of 8 MB, where nobody else could take it", FEW, partial(_held, size=SIZE, inference_server="stopped")),
        ("one of 8 MB with a second choice", FEW, partial(_held, size=SIZE)),
    ):
        with _gateway() as gate:
            before = _heap(gate)
            with opened(gate, count):
                cost = (_heap(gate) - before) / count
        yield Claim(what, f"{cost / 1000:,.0f} KB of Envoy's heap", None)


@contextmanager
def _gateway() -> Iterator[Gateway]:
    models = {"stopped": ["m"], "other": ["m"]}
    with never_reading() as address, gateway(ROUTES, models, adjust=first_backend(reach=Addresses((address,)))) as gate:
        gate.post({"model": "m", "inference_server": "other"})
        yield gate


def _heap(gate: Gateway) -> int:
    time.sleep(FLUSH)
    return gate.envoy.stat("server.memory_allocated")


@contextmanager
def _connected(gate: Gateway, count: int, sent: bytes) -> Iterator[None]:
    """So many connections, on each of which this was sent and nothing more happens."""
    with ExitStack() as stack:
        for _ in range(count):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", gate.port)))
            client.sendall(sent)
        yield


@contextmanager
def _idle(gate: Gateway, count: int) -> Iterator[None]:
    with _connected(gate, count, b"GET /none HTTP/1.1\r\nhost: h\r\n\r\n"):  # answered at once
        yield


@contextmanager
def _begun(gate: Gateway, count: int, length: int) -> Iterator[None]:
    """Uploads of :data:`SIZE` of which so many bytes have come."""
    with _connected(gate, count, HEAD.format(SIZE).encode() + b" " * length):
        yield


@contextmanager
def _held(gate: Gateway, count: int, size: int, **fields: str) -> Iterator[None]:
    """Requests that were decided for the engine that doesn't read them."""
    empty = json.dumps({"model": "m", **fields, "user": ""}).encode()
    body = empty[:-2] + b"x" * (size - len(empty)) + empty[-2:]
    with _connected(gate, count, HEAD.format(len(body)).encode() + body):
        wait_for(lambda: gate.envoy.stat("cluster.engine/stopped.upstream_rq_active") >= count * 0.9, "the requests")
        yield
