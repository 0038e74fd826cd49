"""Copies of requests, through a real Envoy: whole and without credentials, and nothing of them comes back."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from routegen.mock_engine import Behaviour, Fault
from routegen.mock_engine.recorder import Received
from routegen.plan import Addresses, Plan
from support.envoy import VERSIONS
from support.gateway import Gateway, gateway
from support.router import wait_for

ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: mirrored}
spec:
  gateway: {target: envoy}
  passthrough: [{path: /pooling, method: POST, backend: all}]
  byHeaders: [{path: /unread, method: POST}]
  backends:
    all: {endpoints: [127.0.0.1:8001], ownedBy: vllm, mirror: {to: copied, atOnce: 3, timeout: 2s}}
    some: {endpoints: [127.0.0.1:8002], ownedBy: vllm, mirror: {to: copied, percent: 25, atOnce: 1000}}
    none: {endpoints: [127.0.0.1:8003], ownedBy: vllm}
    dead: {endpoints: [127.0.0.1:8004], ownedBy: sglang, mirror: {to: copied}}
    copied: {endpoints: [127.0.0.1:8005], ownedBy: x}
  failover: {statuses: [503]}
  rules:
    - body: inference_server
    - header: x-engine
    - {prefer: [dead]}
    - split: {dead: 1, none: 1}
"""
MODELS = {name: ["m"] for name in ("all", "some", "none", "dead", "copied")}
CREDENTIALS = [
    ("authorization", "Bearer the-clients-own"),
    ("Proxy-Authorization", "Basic eHg6eHg="),
    ("cookie", "session=1"),
    ("x-api-key", "k-1"),
    ("API-Key", "k-2"),
    ("x-goog-api-key", "k-3"),
    ("x-auth-token", "k-4"),
]


@pytest.fixture(scope="module", params=VERSIONS)
def running(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    with gateway(ROUTES, MODELS, version=request.param) as started:
        yield started


@pytest.fixture
def gate(running: Gateway) -> Iterator[Gateway]:
    usual = {name: engine.behaviour for name, engine in running.engines.items()}
    wait_for(lambda: _active(running) == 0, "earlier copies to end")
    running.forget()
    yield running
    for name, behaviour in usual.items():
        running.engines[name].behaviour = behaviour


def _active(gate: Gateway) -> int:
    return sum(gate.envoy.stat(f"cluster.mirror/{name}.upstream_rq_active") for name in ("all", "some", "dead"))


def copies(gate: Gateway, count: int) -> list[Received]:
    """The requests at the mirror, once there are so many; and no more come."""
    got = gate.engines["copied"].recorder
    wait_for(lambda: len(got.generations()) >= count, f"{count} copies")
    time.sleep(0.1)
    assert len(got.generations()) == count
    return list(got.generations())


def ask(gate: Gateway, name: str, **fields: object) -> None:
    reply = gate.post({"model": "m", "inference_server": name, **fields})
    assert (reply.status, reply.header("x-inference-server")) == (200, name)


@pytest.mark.parametrize("size", [100, 5_000_000, 30_000_000])
def test_a_copy_is_whole_and_says_whose_it_is(gate: Gateway, size: int) -> None:
    body = json.dumps({"model": "m", "inference_server": "all", "user": "x" * size}).encode()
    headers = [("x-request-id", f"copied-{size}"), ("x-routegen-mirror-of", "forged"), ("host", "gate.example:80")]
    reply = gate.post(body, headers=headers)
    assert (reply.status, reply.header("x-inference-server")) == (200, "all")
    (copy,) = copies(gate, 1)
    (original,) = gate.engines["all"].recorder.generations()
    assert copy.sha256 == original.sha256 == hashlib.sha256(body).hexdigest()
    assert (copy.target, copy.header("x-request-id")) == (original.target, (f"copied-{size}",))
    assert (copy.header("x-routegen-mirror-of"), copy.header("x-inference-server")) == (("all",), ("copied",))
    assert (original.header("x-routegen-mirror-of"), original.header("x-inference-server")) == ((), ("all",))
    assert copy.header("host") == original.header("host") == ("gate.example:80",)
    assert gate.envoy.logged(f"copied-{size}")["backend"] == "all"
    told = [entry["backend"] for entry in gate.envoy.entries() if entry["request_id"] == f"copied-{size}"]
    assert told == ["all"], "the copy is in no log"


def test_no_credential_is_in_a_copy(gate: Gateway) -> None:
    gate.post({"model": "m", "inference_server": "all"}, headers=[*CREDENTIALS, ("x-tenant", "t"), ("accept", "*/*")])
    (copy,) = copies(gate, 1)
    (original,) = gate.engines["all"].recorder.generations()
    for name, value in CREDENTIALS:
        assert (original.header(name), copy.header(name)) == ((value,), ())
    assert {name.lower() for name, _ in original.headers} - {name.lower() for name, _ in copy.headers} == {
        name.lower() for name, _ in CREDENTIALS
    }


def test_the_share_holds_over_many_requests(gate: Gateway) -> None:
    for _ in range(400):
        ask(gate, "some")
    wait_for(lambda: _active(gate) == 0, "copies to end")
    assert 60 <= len(gate.engines["copied"].recorder.generations()) <= 145  # 100 expected, more than 4 deviations
    assert len(gate.engines["some"].recorder.generations()) == 400


def test_who_has_no_mirror_and_what_is_not_read_is_not_copied(gate: Gateway) -> None:
    ask(gate, "none")
    assert gate.request("POST", "/pooling", b"{}").header("x-inference-server") == "all"
    unread = gate.request("POST", "/unread", b"{}", [("x-engine", "all")])
    assert unread.header("x-inference-server") == "all"
    assert gate.post({"model": "m", "inference_server": "nobody"}).status == 400
    copies(gate, 0)


@pytest.mark.parametrize("fault", ["status:500", "reset", "hang", "no-done"])
def test_what_becomes_of_a_copy_is_nobodys_concern(gate: Gateway, fault: str) -> None:
    gate.engines["copied"].behaviour = Behaviour(models=("m",), fault=Fault.parse(fault))
    for _ in range(5):
        began = time.monotonic()
        ask(gate, "all")
        assert time.monotonic() - began < 1
        reply = gate.post({"model": "m", "inference_server": "all", "stream": True})
        assert reply.body.endswith(b"data: [DONE]\n\n")


def test_copies_that_hang_are_few_and_end(gate: Gateway) -> None:
    gate.engines["copied"].behaviour = Behaviour(models=("m",), fault=Fault("hang"))
    dropped = gate.envoy.stat("cluster.mirror/all.upstream_rq_active_overflow")
    for _ in range(10):
        ask(gate, "all")
    assert gate.envoy.stat("cluster.mirror/all.upstream_rq_active") <= 3
    wait_for(
        lambda: gate.envoy.stat("cluster.mirror/all.upstream_rq_active_overflow") >= dropped + 7, "the rest dropped"
    )
    wait_for(lambda: _active(gate) == 0, "the copies to be given up")
    gate.engines["copied"].behaviour = Behaviour(models=("m",))
    ask(gate, "copied")  # nothing that the mirror suffered counts for the engine


def test_a_request_that_goes_to_its_second_choice_is_copied_once(gate: Gateway) -> None:
    gate.engines["dead"].behaviour = replace(Behaviour(models=("m",)), fault=Fault("status", 503))
    reply = gate.post({"model": "m"})
    answered = reply.header("x-inference-server")
    assert reply.status == 200
    assert answered not in {"dead", None}
    wait_for(lambda: _active(gate) == 0, "copies to end")
    time.sleep(0.2)
    marked = [
        one.header("x-routegen-mirror-of")
        for one in gate.engines["copied"].recorder.generations()
        if one.header("x-routegen-mirror-of")
    ]
    assert marked == [("dead",)]


@contextmanager
def silent() -> Iterator[int]:
    """A port where connections are taken and nothing is read."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []

        def take() -> None:
            while True:
                try:
                    held.append(server.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        for one in held:
            one.close()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("reads", [True, False])
def test_a_mirror_that_is_gone_or_does_not_read_hurts_nobody(version: str, reads: bool) -> None:
    with silent() as port:

        def unwell(plan: Plan) -> Plan:
            where = Addresses((("127.0.0.1", 1 if reads else port),))
            backends = [replace(one, reach=where) if one.name == "copied" else one for one in plan.backends]
            return replace(plan, backends=tuple(backends))

        with gateway(ROUTES, MODELS, version=version, adjust=unwell, complete=False) as gate:
            wait_for(lambda: gate.post({"model": "m", "inference_server": "all"}).status == 200, "the router")
            began = time.monotonic()
            for _ in range(6):
                ask(gate, "all", user="x" * 4_000_000)
            assert time.monotonic() - began < 20
            assert gate.envoy.stat("cluster.mirror/all.upstream_rq_active") <= 3
