"""One model under two names, and routing fields that an engine refuses, through real Envoys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from routegen.compile import compile_text
from routegen.plan import Addresses
from support import h2c
from support.encoded import encoded
from support.engines import refusing
from support.envoy import VERSIONS
from support.gateway import Gateway, first_backend, gateway
from support.imitated import imitated
from support.multipart import FORM, field, file, form

MIB = 1 << 20
LIMIT = 32 * MIB
ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: renamed}
spec:
  paths: [/v1/chat/completions, /v1/responses, /v1/audio/transcriptions]
  backends:
    vllm:
      service: {name: v, port: 8000}
      ownedBy: vllm
      models: {qwen: Qwen/Qwen2.5-7B-Instruct, plain: plain}
    sglang:
      service: {name: s, port: 8000}
      ownedBy: sglang
      models: [qwen]
      stripRoutingFields: true
  rules: [{body: inference_server}, {body: metadata.engine}, {split: {vllm: 1, sglang: 0}}]
"""
ON_ENVOY = ROUTES.replace("spec:\n", "spec:\n  gateway: {target: envoy}\n", 1)
ON_ENVOY = ON_ENVOY.replace("service: {name: v, port: 8000}", "endpoints: [127.0.0.1:8001]")
ON_ENVOY = ON_ENVOY.replace("service: {name: s, port: 8000}", "endpoints: [127.0.0.1:8002]")
MODELS = {"vllm": ["Qwen/Qwen2.5-7B-Instruct", "plain", "extra"], "sglang": ["qwen"]}


@contextmanager
def started(target: str, version: str) -> Iterator[Gateway]:
    if target == "envoy":
        with gateway(ON_ENVOY, MODELS, version=version) as running:
            yield running
    else:
        with imitated(compile_text(ROUTES, "routes.yaml"), MODELS, version=version) as running:
            yield running


@pytest.fixture(
    scope="module", params=[(target, version) for target in ("envoy", "envoy-gateway") for version in VERSIONS], ids=str
)
def running(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    with started(*request.param) as one:
        yield one


@pytest.fixture
def gate(running: Gateway) -> Gateway:
    running.forget()
    return running


@pytest.mark.parametrize("size", [10, 300_000, 31 * MIB])
def test_the_engine_gets_its_own_name_and_nothing_else_changes(gate: Gateway, size: int) -> None:
    text = "qwen é " * (size // 8)
    raw = json.dumps({"messages": [{"role": "user", "content": text}], "mod": 1, "model": "qwen"}, ensure_ascii=False)
    reply = gate.post(raw.encode())
    assert (reply.status, reply.header("x-inference-server")) == (200, "vllm")
    [received] = gate.engines["vllm"].recorder.generations()
    assert received.body == raw.replace('"model": "qwen"', '"model": "Qwen/Qwen2.5-7B-Instruct"').encode()
    assert received.header("content-length") == (str(len(received.body)),)
    assert received.header("transfer-encoding") == ()


def test_where_no_name_is_another_the_body_stays(gate: Gateway) -> None:
    for model in ("plain", "extra"):
        raw = json.dumps({"model": model, "inference_server": "vllm"}).encode()
        assert gate.post(raw).status == 200
        assert gate.engines["vllm"].recorder.generations()[-1].body == raw


def test_the_engines_own_name_is_not_offered(gate: Gateway) -> None:
    listed = {entry["id"]: entry for entry in gate.request("GET", "/v1/models").json["data"]}
    assert listed.keys() == {"qwen", "plain", "extra"}
    assert listed["qwen"]["root"] == "Qwen/Qwen2.5-7B-Instruct"
    assert [backend["name"] for backend in listed["qwen"]["backends"]] == ["vllm", "sglang"]
    assert gate.post({"model": "Qwen/Qwen2.5-7B-Instruct"}).code == "model_not_found"


def test_routing_fields_are_taken_out_for_the_engine_that_wants_it_so(gate: Gateway) -> None:
    raw = b'{"model":"qwen", "inference_server": "sglang" ,"metadata":{"engine":"sglang","user":"u"}}'
    assert gate.post(raw).status == 200
    [received] = gate.engines["sglang"].recorder.generations()
    assert received.body == b'{"model":"qwen", "metadata":{"user":"u"}}'
    gate.post({"model": "plain", "inference_server": "vllm"})
    [kept] = gate.engines["vllm"].recorder.generations()
    assert "inference_server" in kept.json
    twice = gate.post(b'{"model":"qwen","inference_server":null,"inference_server":null}')
    assert (twice.status, twice.code) == (400, "duplicate_field")


def test_compressed_bodies_and_forms_are_changed_too(gate: Gateway) -> None:
    raw = b'{"model":"qwen","x":"' + b"word " * 100_000 + b'"}'
    assert gate.post(encoded(raw, "zstd"), headers=[("content-encoding", "zstd")]).status == 200
    assert gate.engines["vllm"].recorder.generations()[-1].body == raw.replace(b'"qwen"', b'"Qwen/Qwen2.5-7B-Instruct"')
    sound = file(bytes(MIB))
    headers = [("content-type", FORM)]
    path = "/v1/audio/transcriptions"
    gate.request("POST", path, form(sound, field("model", "qwen")), headers)
    assert gate.engines["vllm"].recorder.generations()[-1].body == form(
        sound, field("model", "Qwen/Qwen2.5-7B-Instruct")
    )
    gate.request("POST", path, form(field("inference_server", "sglang"), sound, field("model", "qwen")), headers)
    assert gate.engines["sglang"].recorder.generations()[-1].body == form(sound, field("model", "qwen"))


def test_chunks_and_http_2(gate: Gateway) -> None:
    raw = b'{"model":"qwen","x":"' + b"word " * 1000 + b'"}'
    expected = raw.replace(b'"qwen"', b'"Qwen/Qwen2.5-7B-Instruct"')
    pieces = [raw[:7], raw[7:100], raw[100:]]
    headers = [("content-type", "application/json")]
    assert gate.request("POST", "/v1/responses", iter(pieces), headers).status == 200
    assert h2c.request(gate.port, "POST", "/v1/responses", headers, pieces).status == 200
    for received in gate.engines["vllm"].recorder.generations():
        assert (received.body, received.header("content-length")) == (expected, (str(len(expected)),))


def test_a_body_that_grows_beyond_the_limit_is_413(gate: Gateway) -> None:
    raw = b'{"model":"qwen","x":"' + b"a" * (LIMIT - 30) + b'"}'
    reply = gate.post(raw)
    assert (reply.status, reply.code) == (413, "request_too_large")
    assert sum(gate.reached().values()) == 0


SECOND = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: second}
spec:
  gateway: {target: envoy}
  models: {poll: {enabled: false}}
  backends:
    dead: {endpoints: [127.0.0.1:8001], models: {qwen: Qwen/Qwen2.5, only: Only/One}}
    alike: {endpoints: [127.0.0.1:8002], models: {qwen: Qwen/Qwen2.5, only: Only/One}}
    other: {endpoints: [127.0.0.1:8003], models: [qwen]}
  rules: [{split: {dead: 1000000, SPLIT: 1}}]
"""


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("beside", ["alike", "other"])
def test_a_second_choice_gets_the_same_body_or_is_none(version: str, beside: str) -> None:
    models = {"dead": ["Qwen/Qwen2.5"], "alike": ["Qwen/Qwen2.5"], "other": ["qwen"]}
    with (
        refusing() as address,
        gateway(
            SECOND.replace("SPLIT", beside),
            models,
            version=version,
            adjust=first_backend(reach=Addresses((address,))),
        ) as gate,
    ):
        seconds = {backend.name: backend.seconds for backend in gate.plan.backends}
        assert seconds == {"dead": ("alike",), "alike": ("dead",), "other": ()}
        reply = gate.post(b'{"model":"qwen"}')
        if beside == "alike":
            assert (reply.status, reply.header("x-inference-server")) == (200, "alike")
            [received] = gate.engines["alike"].recorder.generations()
            assert received.body == b'{"model":"Qwen/Qwen2.5"}'
        else:
            assert (reply.status, reply.code) == (503, "engine_unavailable")
            assert sum(gate.reached().values()) == 0
