"""Forms through real Envoys: the model and the engine are read wherever they stand, and the form goes on as it is."""

from __future__ import annotations

import random
from collections.abc import Iterator

import openai
import pytest

from support.encoded import encoded
from support.envoy import VERSIONS
from support.gateway import Gateway, gateway
from support.multipart import FORM, field, file, form
from support.sdk import openai_client

MIB = 1 << 20
PATH = "/v1/audio/transcriptions"
ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: forms}
spec:
  gateway: {target: envoy}
  paths: [/v1/audio/transcriptions, /v1/chat/completions]
  backends:
    vllm: {endpoints: [127.0.0.1:8001], ownedBy: vllm}
    sglang: {endpoints: [127.0.0.1:8002], ownedBy: sglang}
  rules:
    - header: x-engine
    - body: inference_server
    - {split: {vllm: 1}}
"""
MODELS = {"vllm": ["both"], "sglang": ["both", "whisper"]}
SOUND = random.Random(5).randbytes(25 * MIB)
WHISPER = field("model", "whisper")


@pytest.fixture(scope="module", params=VERSIONS)
def running(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    with gateway(ROUTES, MODELS, version=request.param) as started:
        yield started


@pytest.fixture
def gate(running: Gateway) -> Gateway:
    running.forget()
    return running


def send(gate: Gateway, body: bytes, *headers: tuple[str, str]) -> tuple[str | None, str | None]:
    """Who got it, and the code where it was refused by the gateway; the mock engines answer 404 to this path."""
    reply = gate.request("POST", PATH, body, [("content-type", FORM), *headers])
    backend = reply.header("x-inference-server")
    return backend, None if backend else reply.code


@pytest.mark.parametrize(
    "body",
    [
        form(WHISPER, file(SOUND)),
        form(file(SOUND), WHISPER),
        form(file(SOUND[:MIB]), WHISPER, file(SOUND)),
        form(field("model", "both"), file(SOUND[:10]), field("inference_server", "sglang")),
    ],
    ids=["before", "behind", "between", "by name"],
)
def test_a_form_reaches_its_engine_byte_for_byte(gate: Gateway, body: bytes) -> None:
    assert send(gate, body) == ("sglang", None)
    [received] = gate.engines["sglang"].recorder.generations()
    assert received.body == body
    assert received.header("content-type") == (FORM,)
    assert sum(gate.reached().values()) == 1


def test_the_form_of_openais_client_reaches_the_engine_that_serves_the_model(gate: Gateway) -> None:
    """The mock engines answer 404 to this path, after they have received it."""
    client = openai_client(gate.port)
    with pytest.raises(openai.NotFoundError):
        client.audio.transcriptions.create(model="whisper", file=("speech.wav", SOUND[:MIB]))
    [received] = gate.engines["sglang"].recorder.generations()
    assert SOUND[:MIB] in received.body
    assert sum(gate.reached().values()) == 1


def test_a_compressed_form_is_decoded(gate: Gateway) -> None:
    body = form(file(bytes(MIB)), WHISPER)
    assert send(gate, encoded(body, "zstd"), ("content-encoding", "zstd")) == ("sglang", None)
    [received] = gate.engines["sglang"].recorder.generations()
    assert received.body == body


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (form(field("model", "nobody")), "model_not_found"),
        (form(field("model", "both"), field("inference_server", "gold")), "unknown_inference_server"),
        (form(WHISPER, file(SOUND[:100]), WHISPER), "duplicate_field"),
        (form(file(b"whisper", "model")), "invalid_type"),
        (form(WHISPER, file(SOUND[:MIB]))[:-30], "invalid_form"),
        (b'{"model":"whisper"}', "invalid_form"),
    ],
)
def test_what_is_wrong_with_a_field_is_said(gate: Gateway, body: bytes, code: str) -> None:
    assert send(gate, body) == (None, code)
    assert sum(gate.reached().values()) == 0


@pytest.mark.parametrize("type_", [FORM, "audio/wav", "application/octet-stream"])
def test_where_a_header_decides_the_body_may_be_anything(gate: Gateway, type_: str) -> None:
    reply = gate.request("POST", PATH, SOUND[:MIB], [("content-type", type_), ("x-engine", "sglang")])
    assert reply.header("x-inference-server") == "sglang"
    [received] = gate.engines["sglang"].recorder.generations()
    assert received.body == SOUND[:MIB]
    refused = gate.request("POST", PATH, SOUND[:MIB], [("content-type", type_)])
    assert (refused.status, refused.code) == (400, "invalid_form" if type_ == FORM else "invalid_json")
