"""Slow, silent and oversized uploads: what they cost others (nothing), and how they end."""

from __future__ import annotations

import json
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from routegen.emit import limits
from routegen.emit.envoy import bootstrap
from routegen.mock_engine import Behaviour
from routegen.plan import Addresses, Plan
from support.engines import never_reading
from support.envoy import VERSIONS
from support.gateway import Gateway, Reply, first_backend, gateway
from support.router import wait_for
from support.uploading import upload

MIB = 1 << 20
ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: uploads}
spec:
  gateway: {target: envoy}
  router: {maxInflightBytes: 32Mi}
  backends:
    vllm: {endpoints: [127.0.0.1:8001], ownedBy: vllm, models: [m]}
    sglang: {endpoints: [127.0.0.1:8002], ownedBy: sglang, models: [m]}
"""
FAIL_OPEN = ROUTES.replace("maxInflightBytes: 32Mi", "failure: {backend: sglang}")
MODELS = {"vllm": ["m"], "sglang": ["m"]}
SMALL = json.dumps({"model": "m", "inference_server": "vllm"}).encode()
LARGE = json.dumps({"model": "m", "inference_server": "vllm", "user": "x" * MIB}).encode()


@pytest.fixture(scope="module", params=VERSIONS)
def running(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    with gateway(ROUTES, MODELS, version=request.param) as started:
        yield started


@pytest.fixture
def gate(running: Gateway) -> Gateway:
    running.forget()
    return running


@contextmanager
def announced(gate: Gateway, *framing: str) -> Iterator[list[socket.socket]]:
    """Connections that have sent a request's headers and nothing of its body."""
    with ExitStack() as stack:
        clients = []
        for one in framing:
            client = stack.enter_context(socket.create_connection(("127.0.0.1", gate.port), timeout=30))
            client.sendall(f"POST /v1/completions HTTP/1.1\r\nhost: h\r\n{one}\r\n\r\n".encode())
            clients.append(client)
        yield clients


def chunked(gate: Gateway, body: bytes, pause: float = 0.0) -> Reply:
    """Send a body without its length, in two pieces."""

    def pieces() -> Iterator[bytes]:
        yield body[:1]
        time.sleep(pause)
        yield body[1:]

    return gate.request("POST", "/v1/completions", pieces())


def test_uploads_that_never_come_take_nothing_from_others(gate: Gateway) -> None:
    silent = ["content-length: 33554432", "content-length: 65536", "transfer-encoding: chunked"] * 50
    with announced(gate, *silent):
        wait_for(lambda: gate.envoy.stat("http.routegen.downstream_rq_active") >= len(silent), "the uploads to wait")
        for _ in range(10):
            replies = [gate.post(SMALL), gate.post(LARGE), chunked(gate, SMALL), chunked(gate, LARGE)]
            assert [reply.status for reply in replies] == [200] * 4
        assert gate.envoy.stat("cluster.router.upstream_rq_active") == 0


def test_many_bodies_without_a_length_are_no_more_than_they_are(gate: Gateway) -> None:
    with ThreadPoolExecutor(64) as pool:
        replies = list(pool.map(lambda _: chunked(gate, SMALL, pause=0.05), range(64)))
    assert [reply.status for reply in replies] == [200] * 64
    received = gate.engines["vllm"].recorder.generations()
    assert {(one.body, one.header("content-length")) for one in received} == {(SMALL, (str(len(SMALL)),))}


def test_a_length_beyond_the_limit_is_413_before_anything_is_sent(gate: Gateway) -> None:
    with announced(gate, "content-length: 33554433") as [client]:
        answer = client.recv(65536)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b'"code":"request_too_large"' in answer
        assert gate.envoy.stat("cluster.router.upstream_rq_active") == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_a_silent_upload_ends_in_time_and_a_silent_engine_does_not(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "IDLE_UPLOAD", 1.0)
    with (
        gateway(ROUTES, MODELS, version=version) as gate,
        announced(gate, "content-length: 100", "transfer-encoding: chunked") as clients,
    ):
        gate.engines["vllm"].behaviour = Behaviour(models=("m",), ttft=2.5)
        assert gate.post(SMALL).status == 200
        for client in clients:
            answer = client.recv(65536)
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert b'"code":"request_timeout"' in answer


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("left", ["http1_server_abort_dispatch", "http_downstream_filter_check"])
def test_who_is_shed_for_lack_of_memory_is_told_so(version: str, left: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered = bootstrap.static

    def full(plan: Plan) -> Plan:
        return replace(plan, gateway=replace(plan.gateway, memory=1 << 20))

    def one_point(plan: Plan, *, admin: str) -> dict[str, Any]:
        document = rendered(plan, admin=admin)
        points = document["overload_manager"]["loadshed_points"]
        points[:] = [point for point in points if point["name"].endswith(left)]
        assert len(points) == 1
        return document

    monkeypatch.setattr(bootstrap, "static", one_point)
    with gateway(ROUTES, MODELS, version=version, adjust=full) as gate:
        pressure = "overload.envoy.resource_monitors.fixed_heap.pressure"
        wait_for(lambda: gate.envoy.stat(pressure) >= 100, "Envoy to look at its heap")
        reply = gate.post(SMALL)
        assert (reply.status, reply.code, reply.header("retry-after")) == (503, "gateway_overloaded", "1")
        assert gate.reached() == {"vllm": 0, "sglang": 0}


@pytest.mark.parametrize("version", VERSIONS)
def test_large_uploads_beyond_the_memory_are_refused_and_small_requests_pass(version: str) -> None:
    """The engine takes connections and never reads; all uploads together are twice the memory."""
    scarce = ROUTES.replace("gateway: {target: envoy}", "gateway: {target: envoy, memory: 256Mi}")
    scarce = scarce.replace("models: [m]}", "models: [m], poll: {enabled: false}}", 1)
    size, count = 8 * MIB, 64
    body = json.dumps({"model": "m", "inference_server": "vllm", "user": "x" * size}).encode()
    with (
        never_reading() as address,
        gateway(scarce, MODELS, version=version, adjust=first_backend(reach=Addresses((address,)))) as gate,
        ThreadPoolExecutor(32) as pool,
    ):
        uploads = [pool.submit(upload, gate.port, body, 3.0) for _ in range(count)]
        small = [gate.post({"model": "m", "inference_server": "sglang"}) for _ in range(40)]
        answers = Counter(one.result() for one in uploads)
        assert set(answers) <= {"held", "503 gateway_overloaded", "503 router_overloaded"}
        assert answers["503 gateway_overloaded"] > 0
        assert {reply.status for reply in small} <= {200, 503}
        assert sum(reply.status == 200 for reply in small) >= 30
        status = Path(f"/proc/{gate.envoy.pid}/status").read_text()
        [peak] = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")]
        assert peak * 1024 <= 384 * MIB  # the neighbours of a busy machine delay Envoy's look at its heap


@pytest.mark.parametrize("version", VERSIONS)
def test_the_limit_holds_where_a_dead_router_is_stepped_over(version: str) -> None:
    with gateway(FAIL_OPEN, MODELS, version=version) as gate:
        assert gate.router is not None
        gate.router.stop()
        reply = gate.request("POST", "/v1/completions", (b"x" * MIB for _ in range(34)))
        assert (reply.status, reply.code) == (413, "request_too_large")
        assert gate.reached() == {"vllm": 0, "sglang": 0}
        assert chunked(gate, LARGE).header("x-inference-server") == "sglang"
