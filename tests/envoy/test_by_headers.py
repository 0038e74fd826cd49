"""Requests that are decided by headers and query alone, through a real Envoy: follow-ups by id, and WebSockets."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator

import aiohttp
import openai
import pytest

from routegen.plan import Plan
from support.envoy import VERSIONS
from support.gateway import Gateway, gateway
from support.sdk import openai_client

ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: headers}
spec:
  gateway: {target: envoy}
  passthrough: [{path: /_received, method: GET, backend: a}]
  byHeaders:
    - {path: /v1/realtime}
    - {path: /v1/responses/*, method: GET}
    - {path: /v1/responses/*, method: POST}
    - {path: /v1/responses/*, method: DELETE}
  backends:
    a: {endpoints: [127.0.0.1:8001], ownedBy: vllm}
    b: {endpoints: [127.0.0.1:8002], ownedBy: sglang}
  rules:
    - header: x-engine
    - query: engine
    - body: inference_server
    - split: {a: 1, b: 1}
"""
MODELS = {"a": ["both", "only-a"], "b": ["both", "only-b"]}


@pytest.fixture(scope="module", params=VERSIONS)
def running(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    with gateway(ROUTES, MODELS, version=request.param) as started:
        yield started


@pytest.fixture
def gate(running: Gateway) -> Gateway:
    running.forget()
    return running


def made_by(gate: Gateway, engine: str) -> str:
    """A response that ``engine`` remembers."""
    body = {"model": "both", "input": "hi", "inference_server": engine}
    return str(gate.post(body, path="/v1/responses").json["id"])


@pytest.mark.parametrize("engine", ["a", "b"])
def test_a_response_is_told_cancelled_and_forgotten_where_the_client_says(gate: Gateway, engine: str) -> None:
    ident, named = made_by(gate, engine), [("x-engine", engine)]
    told = gate.request("GET", f"/v1/responses/{ident}?include=x", headers=named)
    assert (told.status, told.json["id"], told.header("x-inference-server")) == (200, ident, engine)
    for body in (None, b"", b"{}", b"x" * (40 << 20)):
        cancelled = gate.request("POST", f"/v1/responses/{ident}/cancel", body, named)
        assert (cancelled.status, cancelled.json["id"]) == (200, ident)
    assert gate.request("DELETE", f"/v1/responses/{ident}?engine={engine}").json["deleted"] is True
    assert gate.request("GET", f"/v1/responses/{ident}", headers=named).status == 404


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
def test_without_a_name_nobody_is_asked(gate: Gateway, method: str) -> None:
    ident = made_by(gate, "a")
    gate.forget()
    for _ in range(4):
        reply = gate.request(method, f"/v1/responses/{ident}", b"{}" if method == "POST" else None)
        assert (reply.status, reply.code) == (400, "stateful_request")
        assert "the header x-engine o" in reply.json["error"]["message"]
    assert gate.reached() == {"a": 0, "b": 0}


def test_the_openai_client_goes_on(gate: Gateway) -> None:
    client = openai_client(gate.port)
    ident, named = made_by(gate, "b"), {"x-engine": "b"}
    assert client.responses.retrieve(ident, extra_headers=named).id == ident
    assert client.responses.cancel(ident, extra_headers=named).id == ident
    client.responses.delete(ident, extra_headers=named)
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.retrieve(ident)
    assert refused.value.code == "stateful_request"


@pytest.mark.parametrize(
    ("method", "path", "headers", "expected"),
    [
        ("GET", "/v1/realtime?engine=gold", [], (400, "unknown_value")),
        ("GET", "/v1/realtime?engine=a&engine=b", [], (400, "duplicate_field")),
        ("GET", "/v1/realtime?model=gpt", [], (404, "model_not_found")),
        ("GET", "/v1/realtime?model=only-b", [("x-engine", "a")], (400, "engine_model_mismatch")),
        ("GET", "/v1/realtimes", [], (404, "not_found")),
        ("POST", "/v1/realtime", [], (404, "not_found")),
        ("GET", "/v1/responses/..%2f..%2f_received", [("x-engine", "a")], (404, "not_found")),
        ("GET", "/v1/responses/..%5C_received", [("x-engine", "a")], (404, "not_found")),
        ("PUT", "/v1/responses/x", [("x-engine", "a")], (404, "not_found")),
    ],
)
def test_what_is_refused(
    gate: Gateway, method: str, path: str, headers: list[tuple[str, str]], expected: tuple[int, str]
) -> None:
    reply = gate.request(method, path, headers=headers)
    assert (reply.status, reply.code) == expected
    assert gate.reached() == {"a": 0, "b": 0}


@pytest.mark.parametrize("spoofed", ["x-inference-server", "X-Inference-Server"])
def test_a_client_cannot_choose_by_the_routing_header(gate: Gateway, spoofed: str) -> None:
    reply = gate.request("GET", "/v1/responses/x", headers=[(spoofed, "b")])
    assert (reply.status, reply.code) == (400, "stateful_request")
    assert gate.request("GET", "/v1/responses/x", headers=[(spoofed, "b"), ("x-engine", "a")]).status == 404
    assert gate.reached() == {"a": 1, "b": 0}


@pytest.mark.parametrize(
    ("query", "headers", "owner"),
    [
        ("?model=only-a", {}, "vllm"),
        ("?model=only-b", {}, "sglang"),
        ("?model=both&engine=b", {}, "sglang"),
        ("?model=both", {"x-engine": "a"}, "vllm"),
    ],
)
async def test_a_websocket_is_decided_at_its_headers(
    gate: Gateway, query: str, headers: dict[str, str], owner: str
) -> None:
    url = f"http://127.0.0.1:{gate.port}/v1/realtime{query}"
    async with aiohttp.ClientSession() as http, http.ws_connect(url, headers=headers) as socket:
        created = await socket.receive_json()
        assert created["session"]["owned_by"] == owner
        for size in (1, 70_000, 300_000):
            await socket.send_bytes(b"x" * size)
            assert await socket.receive_bytes() == b"x" * size
        await socket.send_str("end")
        assert (await socket.receive()).data == "end"


async def test_websockets_without_a_name_are_split(gate: Gateway) -> None:
    url, owners = f"http://127.0.0.1:{gate.port}/v1/realtime?model=both", set()
    async with aiohttp.ClientSession() as http:
        for _ in range(30):
            async with http.ws_connect(url) as socket:
                owners.add((await socket.receive_json())["session"]["owned_by"])
    assert owners == {"vllm", "sglang"}


async def test_only_what_is_opened_becomes_a_websocket(gate: Gateway) -> None:
    async with aiohttp.ClientSession() as http:
        for path in ("/v1/models", "/v1/chat/completions", "/health"):
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await http.ws_connect(f"http://127.0.0.1:{gate.port}{path}")
    assert gate.reached() == {"a": 0, "b": 0}


def test_a_long_body_passes_without_being_collected(gate: Gateway) -> None:
    pieces = (b"x" * (1 << 20) for _ in range(50))
    reply = gate.request("POST", "/v1/responses/x/cancel", pieces, [("x-engine", "b")])
    assert reply.status == 404
    assert len(gate.engines["b"].recorder.requests[-1].body) == 50 << 20


def test_without_the_router_nothing_gets_through() -> None:
    with gateway(ROUTES, MODELS, routers=["127.0.0.1:1"]) as running:
        reply = running.request("GET", "/v1/responses/x", headers=[("x-engine", "a"), ("x-inference-server", "a")])
        assert (reply.status, reply.code) == (503, "router_unavailable")
        assert running.reached() == {"a": 0, "b": 0}


def test_with_a_failure_backend_such_a_request_goes_there() -> None:
    def failing(plan: Plan) -> Plan:
        return dataclasses.replace(plan, router=dataclasses.replace(plan.router, failure_backend="b"))

    with gateway(ROUTES, MODELS, routers=["127.0.0.1:1"], adjust=failing) as running:
        reply = running.request("GET", "/v1/responses/x", headers=[("x-inference-server", "a")])
        assert (reply.status, json.loads(reply.body)["error"]["code"]) == (404, 404)
        assert running.reached() == {"a": 0, "b": 1}
