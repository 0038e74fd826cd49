"""What is rendered for one kind of request alone, through the real gateway: one request of each kind, at least."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator

import aiohttp
import pytest

from routegen.mock_engine import Behaviour, Fault
from support.cluster.cluster import Cluster, Installation

NAMESPACE = "kinds"
ROUTES = f"""\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {{name: kinds, namespace: {NAMESPACE}}}
spec:
  gateway: {{name: kinds}}
  timeouts: {{firstByte: 2s}}
  paths: [/v1/chat/completions, /v1/responses]
  byHeaders:
    - {{path: /v1/realtime}}
    - {{path: /v1/responses/*, method: GET}}
    - {{path: /v1/responses/*, method: DELETE}}
  backends:
    a: {{service: {{name: a, port: 8000}}, ownedBy: vllm, models: {{short: org/long-name, m: m}}}}
    b: {{service: {{name: b, port: 8000}}, ownedBy: sglang, models: [m], stripRoutingFields: true}}
  rules: [{{header: x-engine}}, {{body: inference_server}}, {{split: {{a: 1, b: 1}}}}]
"""
MODELS = {"a": ("org/long-name", "m"), "b": ("m",)}


@pytest.fixture(scope="module")
def running(cluster: Cluster) -> Iterator[Installation]:
    cluster.namespace(NAMESPACE)
    for name, personality in (("a", "vllm"), ("b", "sglang")):
        cluster.engines.add(f"{NAMESPACE}-{name}", name, NAMESPACE, personality, MODELS[name])
    with cluster.installed(ROUTES) as installation:
        yield installation


@pytest.fixture
def installed(running: Installation) -> Installation:
    running.cluster.engines.forget()
    return running


@pytest.mark.parametrize("engine", ["a", "b"])
def test_a_response_is_told_and_forgotten_where_the_header_says(installed: Installation, engine: str) -> None:
    body = {"model": "m", "input": "hi", "inference_server": engine}
    ident, named = json.loads(installed.post(body, "/v1/responses").body)["id"], [("x-engine", engine)]
    told = installed.request("GET", f"/v1/responses/{ident}", headers=named)
    assert (told.status, told.header("x-inference-server")) == (200, engine)
    assert installed.request("DELETE", f"/v1/responses/{ident}", headers=named).status == 200
    assert installed.request("GET", f"/v1/responses/{ident}", headers=named).status == 404
    unnamed = installed.request("GET", f"/v1/responses/{ident}", headers=[("x-inference-server", engine)])
    assert (unnamed.status, unnamed.code) == (400, "stateful_request")


@pytest.mark.parametrize(("engine", "owner"), [("a", "vllm"), ("b", "sglang")])
async def test_a_websocket_is_one(installed: Installation, engine: str, owner: str) -> None:
    url = f"http://127.0.0.1:{installed.cluster.gateway.port}/v1/realtime?model=m"
    async with aiohttp.ClientSession() as http, http.ws_connect(url, headers={"x-engine": engine}) as socket:
        assert (await socket.receive_json())["session"]["owned_by"] == owner
        await socket.send_bytes(b"x" * 300_000)


def test_who_does_not_begin_in_time_is_given_up_and_nobody_else_is_asked(installed: Installation) -> None:
    engines = installed.cluster.engines
    engine = engines[f"{NAMESPACE}-a"]
    usual = engine.behaviour
    try:
        engine.behaviour = Behaviour(models=MODELS["a"], fault=Fault("hang"))
        began = time.monotonic()
        reply = installed.post({"model": "m", "inference_server": "a"})
        assert (reply.status, reply.code, reply.header("x-inference-server")) == (504, "gateway_timeout", "a")
        assert time.monotonic() - began >= 2
        assert engines.reached() == {f"{NAMESPACE}-a": 1}
        engine.behaviour = Behaviour(models=MODELS["a"], tpot=0.6, answer_tokens=6)
        streamed = installed.post({"model": "m", "inference_server": "a", "stream": True})
        assert streamed.status == 200
        assert streamed.body.endswith(b"data: [DONE]\n\n"), "an answer that has begun is never cut"
    finally:
        engine.behaviour = usual


@pytest.mark.parametrize("size", [10, 300_000])
def test_a_compressed_body_arrives_decoded(installed: Installation, size: int) -> None:
    plain = json.dumps({"model": "m", "inference_server": "a", "pad": "pad " * size}).encode()
    reply = installed.post(gzip.compress(plain), headers=[("content-encoding", "gzip")])
    assert (reply.status, reply.header("x-inference-server")) == (200, "a")
    [received] = installed.cluster.engines[f"{NAMESPACE}-a"].recorder.generations()
    assert received.body == plain
    assert received.header("content-length") == (str(len(plain)),)
    assert received.header("content-encoding") == ()


@pytest.mark.parametrize("size", [10, 300_000, 5_000_000])
def test_a_renamed_model_and_a_field_to_strip_change_and_nothing_else(installed: Installation, size: int) -> None:
    engines, pad = installed.cluster.engines, b"x" * size
    assert installed.post(b'{"model": "short", "pad": "' + pad + b'"}').status == 200
    [received] = engines[f"{NAMESPACE}-a"].recorder.generations()
    assert received.body == b'{"model": "org/long-name", "pad": "' + pad + b'"}'
    reply = installed.post(b'{"model": "m", "inference_server": "b", "pad": "' + pad + b'"}')
    assert reply.status == 200
    [received] = engines[f"{NAMESPACE}-b"].recorder.generations()
    assert json.loads(received.body) == {"model": "m", "pad": pad.decode()}
