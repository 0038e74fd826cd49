"""The time to first byte, through a real Envoy: who doesn't begin is given up, and who has begun is never cut."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from routegen.mock_engine import Behaviour, Fault
from support.envoy import VERSIONS
from support.gateway import Gateway, gateway

ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: first-byte}
spec:
  gateway: {target: envoy}
  timeouts: {firstByte: 1s}
  failover: {statuses: [503]}
  passthrough: [{path: /pooling, method: POST, backend: fast}]
  backends:
    fast: {endpoints: [127.0.0.1:8001], ownedBy: vllm}
    slow: {endpoints: [127.0.0.1:8002], ownedBy: sglang, timeouts: {firstByte: 1h}}
  rules: [{body: inference_server}, {split: {fast: 1, slow: 0.000001}}]
"""
MODELS = {"fast": ["m"], "slow": ["m"]}


@pytest.fixture(scope="module", params=VERSIONS)
def running(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    with gateway(ROUTES, MODELS, version=request.param) as started:
        yield started


@pytest.fixture
def gate(running: Gateway) -> Iterator[Gateway]:
    usual = {name: engine.behaviour for name, engine in running.engines.items()}
    running.forget()
    yield running
    for name, behaviour in usual.items():
        running.engines[name].behaviour = behaviour


def behave(gate: Gateway, engine: str, **changes: object) -> None:
    gate.engines[engine].behaviour = replace(Behaviour(models=("m",)), **changes)  # type: ignore[arg-type]


def test_an_engine_that_does_not_begin_is_given_up_and_no_other_is_tried(gate: Gateway) -> None:
    behave(gate, "fast", fault=Fault("hang"))
    began = time.monotonic()
    reply = gate.post({"model": "m"}, headers=[("x-request-id", "hanging")])
    assert (reply.status, reply.code, reply.header("x-inference-server")) == (504, "gateway_timeout", "fast")
    assert time.monotonic() - began >= 1
    assert gate.reached() == {"fast": 1, "slow": 0}
    assert gate.envoy.logged("hanging")["backend"] == "fast"


def test_a_whole_answer_that_takes_longer_is_given_up_too(gate: Gateway) -> None:
    behave(gate, "fast", ttft=3.0)
    assert gate.post({"model": "m"}).status == 504


def test_a_stream_that_began_is_never_cut(gate: Gateway) -> None:
    behave(gate, "fast", tpot=0.5, answer_tokens=6)
    reply = gate.post({"model": "m", "stream": True})
    assert reply.status == 200
    assert reply.body.endswith(b"data: [DONE]\n\n")


def test_a_backend_may_have_more_time(gate: Gateway) -> None:
    behave(gate, "slow", ttft=2.0)
    assert gate.post({"model": "m", "inference_server": "slow"}).status == 200


def test_the_upload_does_not_count(gate: Gateway) -> None:
    def slowly() -> Iterator[bytes]:
        yield b'{"model": "m", "messages": "'
        for _ in range(4):
            time.sleep(0.5)
            yield b"x" * 1000
        yield b'"}'

    reply = gate.request("POST", "/v1/chat/completions", slowly(), [("content-type", "application/json")])
    assert reply.status == 200
