"""Requests through a real Envoy and the real router to engines that tell what they received."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from routegen.mock_engine import Behaviour
from support import h2c, router
from support.envoy import VERSIONS
from support.gateway import Gateway, Reply, gateway
from support.router import streaming

MIB = 1 << 20
LIMIT = 32 * MIB

ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: routes}
spec:
  gateway: {target: envoy}
  router: {maxInflightBytes: 40Mi}
  passthrough:
    - {path: /own/words, method: POST, backend: vllm}
    - {path: /files/*, method: GET, backend: sglang}
  backends:
    vllm: {endpoints: [127.0.0.1:8001], ownedBy: vllm}
    sglang: {endpoints: [127.0.0.1:8002], ownedBy: sglang}
  rules:
    - body: inference_server
    - body: owned_by
    - header: x-engine
    - {body: metadata.tier, values: {fast: sglang, "slow*": vllm}}
    - {reject: "Not this tenant.", when: {header: {x-tenant: none}}}
    - split: {vllm: 1}
"""
MODELS = {"vllm": ["both", "only/vllm"], "sglang": ["both", "only-sglang"]}


@pytest.fixture(scope="module", params=VERSIONS)
def running(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    with gateway(ROUTES, MODELS, version=request.param) as started:
        yield started


@pytest.fixture
def gate(running: Gateway) -> Gateway:
    running.forget()
    return running


@pytest.mark.parametrize(
    ("body", "headers", "backend"),
    [
        ({"model": "both", "inference_server": "sglang"}, [], "sglang"),
        ({"model": "both", "owned_by": "sglang"}, [], "sglang"),
        ({"model": "only-sglang"}, [], "sglang"),
        ({"model": "only/vllm"}, [], "vllm"),
        ({"model": "both"}, [("X-Engine", "sglang")], "sglang"),
        ({"model": "both", "metadata": {"tier": "fast"}}, [], "sglang"),
        ({"model": "both", "metadata": {"tier": "slowest"}}, [], "vllm"),
        ({"model": "both"}, [], "vllm"),
        (b'{"model":"both","\\u0069nference_server":"sglang"}', [], "sglang"),
        ({"model": "both", "metadata": {"inference_server": "sglang"}}, [], "vllm"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses?a=%2F", "//v1/x/../embeddings"])
def test_the_body_decides_which_engine_gets_the_request_unchanged(
    gate: Gateway, body: dict[str, object] | bytes, headers: list[tuple[str, str]], backend: str, path: str
) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    reply = gate.post(data, path=path, headers=headers)
    assert reply.status == 200
    assert reply.header("x-inference-server") == backend
    [received] = gate.engines[backend].recorder.generations()
    assert received.body == data
    assert received.header("x-inference-server") == (backend,)
    assert not [name for name, _ in received.headers if name.lower().startswith("x-envoy")]
    assert sum(gate.reached().values()) == 1


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"", [], 400, "invalid_json"),
        (b'{"model":', [], 400, "invalid_json"),
        (b'{"model":"both","x":"\xff"}', [], 400, "invalid_json"),
        (b"[]", [], 400, "invalid_request_body"),
        (b'{"inference_server":1}', [], 400, "invalid_type"),
        (b'{"inference_server":"vllm","inference_server":"sglang"}', [], 400, "duplicate_field"),
        (b'{"inference_server":"gold"}', [], 400, "unknown_inference_server"),
        (b'{"metadata":{"tier":"gold"}}', [], 400, "unknown_value"),
        (b"{}", [("x-engine", "gold")], 400, "unknown_value"),
        (b'{"model":"only/vllm","inference_server":"sglang"}', [], 400, "engine_model_mismatch"),
        (b'{"model":"nobody"}', [], 404, "model_not_found"),
        (b"{}", [("content-encoding", "compress")], 415, "unsupported_content_encoding"),
        (b"{}", [("content-encoding", "gzip")], 400, "invalid_content_encoding"),
        (b"{}", [("x-tenant", "none")], 400, "no_route"),
    ],
)
def test_a_refusal_is_the_routers_own_and_names_no_engine(
    gate: Gateway, body: bytes, headers: list[tuple[str, str]], status: int, code: str
) -> None:
    reply = gate.post(body, headers=headers)
    assert (reply.status, reply.code) == (status, code)
    assert reply.header("x-inference-server") is None
    assert sum(gate.reached().values()) == 0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/chat/completions"),
        ("PUT", "/v1/chat/completions"),
        ("POST", "/v1/chat/completions/"),
        ("POST", "/v1%2Fchat/completions"),
        ("POST", "/v1/models"),
        ("GET", "/metrics"),
        ("GET", "/own/words"),
        ("GET", "/files/..%2fadmin"),
        ("GET", "/files/%5c"),
        ("GET", "/"),
    ],
)
def test_what_is_not_served_is_404_in_openais_shape(gate: Gateway, method: str, path: str) -> None:
    reply = gate.request(method, path)
    assert (reply.status, reply.code) == (404, "not_found")
    assert sum(gate.reached().values()) == 0


def test_the_router_lists_the_models_with_their_true_owners(gate: Gateway) -> None:
    listed = {entry["id"]: entry for entry in gate.request("GET", "/v1/models").json["data"]}
    assert {name: entry["owned_by"] for name, entry in listed.items()} == {
        "both": "vllm",
        "only/vllm": "vllm",
        "only-sglang": "sglang",
    }
    for path in ("/v1/models/only/vllm", "/v1/models/only%2Fvllm?x=1"):
        assert gate.request("GET", path).json == listed["only/vllm"]
    head = gate.request("HEAD", "/v1/models")
    assert (head.status, head.body) == (200, b"")
    unknown = gate.request("GET", "/v1/models/nobody")
    assert (unknown.status, unknown.code) == (404, "model_not_found")


def test_passthrough_reaches_its_engine_unread_and_says_so(gate: Gateway) -> None:
    body = bytes(range(256)) * 8192  # 2 MiB, not JSON, and not buffered
    reply = gate.request("POST", "/own/words?q=%2F", body, [("x-engine", "sglang")])
    assert reply.status == 404  # the mock engine's own answer, untouched
    assert b"error" not in reply.body
    assert reply.header("x-inference-server") == "vllm"
    [received] = gate.engines["vllm"].recorder.generations()
    assert received.body == body
    assert gate.request("GET", "/files/a/b?q=%2F").header("x-inference-server") == "sglang"
    assert gate.reached() == {"vllm": 1, "sglang": 1}


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_exactly_the_limit_passes_byte_for_byte_and_one_byte_more_is_413(
    gate: Gateway, *, chunked: bool
) -> None:
    start = b'{"model":"only-sglang","messages":[],"user":"'
    exact = start + b"x" * (LIMIT - len(start) - 2) + b'"}'
    assert len(exact) == LIMIT

    def send(body: bytes) -> tuple[int, str | None]:
        data = (body[at : at + MIB] for at in range(0, len(body), MIB)) if chunked else body
        reply = gate.request("POST", "/v1/chat/completions", data)
        return reply.status, None if reply.status == 200 else reply.code

    assert send(exact) == (200, None)
    [received] = gate.engines["sglang"].recorder.generations()
    assert received.sha256 == hashlib.sha256(exact).hexdigest()
    assert send(exact[:-1] + b" }") == (413, "request_too_large")
    assert gate.reached() == {"vllm": 0, "sglang": 1}


def test_http2_clients_get_the_same_limit_and_the_same_decision(gate: Gateway) -> None:
    body = json.dumps({"model": "both", "inference_server": "sglang", "user": "é" * MIB}).encode()
    pieces = [body[at : at + 100_000] for at in range(0, len(body), 100_000)]
    reply = h2c.request(gate.port, "POST", "/v1/completions", chunks=pieces, trailers=[("x-inference-server", "vllm")])
    assert (reply.status, reply.header("x-inference-server")) == (200, "sglang")
    [received] = gate.engines["sglang"].recorder.generations()
    assert received.body == body
    refused = h2c.request(gate.port, "POST", "/v1/completions", chunks=[b" " * MIB] * 33)
    assert (refused.status, refused.code) == (413, "request_too_large")


async def test_bodies_beyond_what_the_router_may_hold_are_refused_with_a_time_to_come_back(gate: Gateway) -> None:
    assert gate.router is not None
    async with streaming(gate.router.address) as open_stream:
        other = open_stream()  # another gateway's request, which has the router's whole room for bodies of this size
        await other.write(router.headers(more={"content-length": str(LIMIT)}).SerializeToString())
        await other.read()
        reply = await asyncio.to_thread(gate.post, b'{"user":"' + b"x" * 16 * MIB + b'"}')
        assert (reply.status, reply.code) == (503, "router_overloaded")
        assert reply.header("retry-after") == "1"
        small = await asyncio.to_thread(gate.post, {"model": "both"})
        assert small.status == 200


def test_a_streamed_answer_arrives_as_it_is_sent_and_holds_no_router_stream(gate: Gateway) -> None:
    engine = gate.engines["sglang"]
    engine.behaviour = Behaviour(models=tuple(MODELS["sglang"]), tpot=0.2, answer_tokens=10)
    connection = http.client.HTTPConnection("127.0.0.1", gate.port, timeout=30)
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps({"model": "only-sglang", "stream": True}))
        response = connection.getresponse()
        events = 0
        held = []
        while line := response.readline():
            if line.startswith(b"data: "):
                events += 1
                if events in {2, 6}:  # the engine isn't done yet, and each event was read before the next was sent
                    held.append(gate.envoy.stat("cluster.router.upstream_rq_active"))
                    held.append(gate.envoy.stat("cluster.engine/sglang.upstream_rq_active"))
    finally:
        connection.close()
        engine.behaviour = Behaviour(models=tuple(MODELS["sglang"]))
    assert held == [0, 1, 0, 1]
    assert events > 10


def test_the_access_log_tells_the_decision_and_no_query_string(gate: Gateway) -> None:
    def logged(reply: Reply) -> dict[str, Any]:
        return gate.envoy.logged(reply.header("x-request-id") or "")

    decided = logged(gate.post({"model": "both", "owned_by": "sglang"}, path="/v1/completions?api_key=secret"))
    assert (decided["route"], decided["rule"], decided["backend"]) == ("engine/sglang", "body:owned_by", "sglang")
    assert (decided["path"], decided["status"], decided["reject"]) == ("/v1/completions", 200, None)
    assert int(decided["router_headers_us"]) > 0
    assert int(decided["router_body_us"]) > 0
    refused = logged(gate.post({"model": "nobody"}, headers=[("authorization", "Bearer secret")]))
    assert (refused["route"], refused["backend"], refused["reject"]) == ("waiting", None, "model_not_found")
    unread = logged(gate.request("POST", "/own/words", b"secret"))
    assert (unread["route"], unread["rule"], unread["backend"]) == ("passthrough/own/words", None, "vllm")
    assert "secret" not in json.dumps([decided, refused, unread])


@pytest.mark.parametrize("mine", ["mine", "0192f8c1-7a3b-7c4d-9e5f-0123456789ab", "x" * 36])
def test_a_request_id_is_kept_from_the_client_to_the_engine_and_back(gate: Gateway, mine: str) -> None:
    reply = gate.post({"model": "only-sglang"}, headers=[("x-request-id", mine)])
    assert reply.header("x-request-id") == mine
    assert gate.engines["sglang"].recorder.generations()[0].header("x-request-id") == (mine,)
