"""What clients do must not look like a fault of the gateway, nor leave their words where operators read."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from routegen.plan import Addresses
from support.envoy import VERSIONS
from support.gateway import Gateway, first_backend, gateway
from support.router import wait_for

ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: alarms}
spec:
  gateway: {target: envoy}
  maxBodyBytes: 1Mi
  passthrough:
    - {path: /files/*, method: GET, backend: vllm}
  backends:
    vllm: {endpoints: [127.0.0.1:8001], ownedBy: vllm, models: [m]}
    sglang: {endpoints: [127.0.0.1:8002], ownedBy: sglang, models: [m]}
"""
MODELS = {"vllm": ["m"], "sglang": ["m"]}
SECRET = "tell-nobody"
ALARMS = ("routegen_stream_failures_total", 'routegen_rejections_total{code="router_misconfigured"}')


@pytest.fixture(scope="module", params=VERSIONS)
def gate(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    with gateway(ROUTES, MODELS, version=request.param) as started:
        yield started


def counted(gate: Gateway) -> dict[str, float]:
    assert gate.router is not None
    with urllib.request.urlopen(f"http://{gate.router.status}/metrics", timeout=20) as response:
        lines = [line for line in response.read().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def alarms(gate: Gateway) -> dict[str, float]:
    found = counted(gate)
    return {name: found.get(name, 0.0) for name in ALARMS}


def leave(gate: Gateway, sent: bytes) -> None:
    """Send the beginning of an upload, wait until Envoy has it, and go."""
    before = gate.envoy.stat("http.routegen.downstream_rq_active")
    with socket.create_connection(("127.0.0.1", gate.port)) as client:
        client.sendall(sent)
        wait_for(lambda: gate.envoy.stat("http.routegen.downstream_rq_active") > before, "the request to begin")
    wait_for(lambda: gate.envoy.stat("http.routegen.downstream_rq_active") == before, "the request to end")


HEAD = b"POST /v1/completions HTTP/1.1\r\nhost: h\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        HEAD + b"content-length: 100\r\n\r\n{",
        HEAD + b"content-length: 100\r\n\r\n",
        HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\n{\r\n",
        HEAD + b"transfer-encoding: chunked\r\n\r\nnot a chunk",
    ],
)
def test_a_client_that_leaves_or_breaks_off_raises_no_alarm(gate: Gateway, sent: bytes) -> None:
    if sent.endswith(b"not a chunk"):
        with socket.create_connection(("127.0.0.1", gate.port)) as client:
            client.sendall(sent)
            assert client.recv(100).startswith(b"HTTP/1.1 400")
    else:
        leave(gate, sent)
    assert gate.post({"model": "m"}).status == 200  # what happened before it is counted by now
    assert alarms(gate) == dict.fromkeys(ALARMS, 0.0)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_raises_no_alarm(gate: Gateway, *, chunked: bool) -> None:
    body = b'{"model":"m","user":"' + b"x" * (1 << 20) + b'"}'
    pieces = (body[at : at + 100_000] for at in range(0, len(body), 100_000))
    assert gate.request("POST", "/v1/completions", pieces if chunked else body).status == 413
    assert gate.post({"model": "m"}).status == 200
    assert alarms(gate) == dict.fromkeys(ALARMS, 0.0)


@contextmanager
def answering(answer: bytes) -> Iterator[tuple[str, int]]:
    """An engine that gives this answer to everything, and its address."""

    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(1 << 16)
            self.request.sendall(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Connection) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield "127.0.0.1", server.socket.getsockname()[1]
        server.shutdown()


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (b"what is this?\r\n\r\n", 502, "engine_failed"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"x" * 100_000 + b"\r\n\r\n", 502, "engine_failed"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello", 502, "engine_failed"),
        (b"", 503, "engine_unavailable"),
        (b"HTTP/1.1 200 OK\r\nx: ", 502, "engine_failed"),
    ],
    ids=["no HTTP", "headers too large", "two lengths", "closes", "breaks off"],
)
def test_a_broken_answer_is_said_to_be_the_engines(answer: bytes, status: int, code: str) -> None:
    with (
        answering(answer) as address,
        gateway(ROUTES, MODELS, adjust=first_backend(reach=Addresses((address,)))) as gate,
    ):
        reply = gate.post({"model": "m", "inference_server": "vllm"})
        assert (reply.status, reply.code, reply.header("x-inference-server")) == (status, code, "vllm")
        assert "engine" in reply.json["error"]["message"]


def test_text_in_a_path_stays_out_of_the_logs(gate: Gateway) -> None:
    for method, path in (
        ("GET", f"/v1/models/{SECRET}"),
        ("HEAD", f"/v1/models/{SECRET}?{SECRET}"),
        ("GET", f"/v1/models/{SECRET}%2F{SECRET}"),
        ("POST", f"/v1/models/{SECRET}"),
    ):
        reply = gate.request(method, path)
        entry = gate.envoy.logged(reply.header("x-request-id") or "")
        assert entry["path"] == "/v1/models/{id}"
        assert SECRET not in json.dumps(entry)


def test_what_a_client_sends_is_cut_in_the_log(gate: Gateway) -> None:
    sent = "x" * 2000
    gate.request("GET", f"/{sent}", headers=[("x-request-id", sent)])
    entry = gate.envoy.logged(sent[:128])
    assert len(entry["path"]) <= 128
    assert entry["status"] == 404
