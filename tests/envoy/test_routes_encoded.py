"""Compressed bodies through real Envoys, as target envoy renders them and as Envoy Gateway would set them up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from routegen.compile import compile_text
from support import h2c
from support.encoded import encoded, raw_deflate
from support.envoy import VERSIONS
from support.gateway import Gateway, gateway
from support.imitated import imitated

MIB = 1 << 20
LIMIT = 32 * MIB
ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: encoded}
spec:
  passthrough:
    - {path: /tokenize, method: POST, backend: vllm}
  backends:
    vllm: {service: {name: v, port: 8000}, ownedBy: vllm}
    sglang: {service: {name: s, port: 8000}, ownedBy: sglang}
  rules: [{body: inference_server}, {split: {vllm: 1, sglang: 1}}]
"""
ON_ENVOY = ROUTES.replace("spec:", "spec:\n  gateway: {target: envoy}")
ON_ENVOY = ON_ENVOY.replace("service: {name: v, port: 8000}", "endpoints: [127.0.0.1:8001]")
ON_ENVOY = ON_ENVOY.replace("service: {name: s, port: 8000}", "endpoints: [127.0.0.1:8002]")
MODELS = {"vllm": ["m"], "sglang": ["m"]}
CODINGS = [("gzip",), ("deflate",), ("br",), ("zstd",), ("gzip", "zstd"), ("br", "gzip", "deflate")]


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


def chat(size: int) -> bytes:
    text = "pad " * (size // 4)
    message = {"role": "user", "content": text}
    return json.dumps({"model": "m", "inference_server": "sglang", "messages": [message]}).encode()


@pytest.mark.parametrize("codings", CODINGS, ids="-".join)
@pytest.mark.parametrize("size", [10, 300_000])
def test_the_engine_gets_the_decoded_body(gate: Gateway, codings: tuple[str, ...], size: int) -> None:
    raw = chat(size)
    coding = ("content-encoding", ", ".join(codings))
    reply = gate.post(encoded(raw, *codings), headers=[coding, ("accept-encoding", "gzip;q=0.5")])
    assert (reply.status, reply.header("x-inference-server")) == (200, "sglang")
    [received] = gate.engines["sglang"].recorder.generations()
    assert received.body == raw
    assert received.header("content-length") == (str(len(raw)),)
    assert received.header("content-encoding") == ()
    assert received.header("transfer-encoding") == ()
    assert received.header("accept-encoding") == ("gzip;q=0.5",)
    assert sum(gate.reached().values()) == 1


@pytest.mark.parametrize("codings", CODINGS[::4], ids="-".join)
def test_a_body_of_exactly_the_limit_passes_and_one_byte_more_is_413(gate: Gateway, codings: tuple[str, ...]) -> None:
    raw = chat(LIMIT - 1000)
    raw = raw[:-1] + b" " * (LIMIT - len(raw)) + b"}"
    coding = ("content-encoding", ",".join(codings))
    assert gate.post(encoded(raw, *codings), headers=[coding]).status == 200
    [received] = gate.engines["sglang"].recorder.generations()
    assert received.body == raw
    reply = gate.post(encoded(raw + b" ", *codings), headers=[coding])
    assert (reply.status, reply.code) == (413, "request_too_large")
    assert sum(gate.reached().values()) == 1


@pytest.mark.parametrize(
    ("body", "coding", "status", "code"),
    [
        (b'{"model":"m"}', "gzip", 400, "invalid_content_encoding"),
        (encoded(chat(100_000), "gzip")[:-4], "gzip", 400, "invalid_content_encoding"),
        (encoded(chat(100_000), "zstd") + b"x", "zstd", 400, "invalid_content_encoding"),
        (encoded(b'{"model":', "br"), "br", 400, "invalid_json"),
        (encoded(b'{"inference_server":"gold"}', "zstd"), "zstd", 400, "unknown_inference_server"),
        (encoded(bytes(LIMIT + 1), "zstd", "zstd"), "zstd,zstd", 413, "request_too_large"),
        (b"{}", "compress", 415, "unsupported_content_encoding"),
        (b"{}", "gzip, gzip, gzip, gzip", 415, "unsupported_content_encoding"),
    ],
)
def test_what_can_not_be_decoded_reaches_no_engine(
    gate: Gateway, body: bytes, coding: str, status: int, code: str
) -> None:
    reply = gate.post(body, headers=[("content-encoding", coding)])
    assert (reply.status, reply.code) == (status, code)
    assert sum(gate.reached().values()) == 0


def test_chunks_aliases_and_deflate_without_a_frame(gate: Gateway) -> None:
    raw = chat(1000)
    for data, coding in ((encoded(raw, "gzip"), "X-GZip"), (raw_deflate(raw), "identity, deflate")):
        pieces = [data[at : at + 100] for at in range(0, len(data), 100)]
        reply = gate.request("POST", "/v1/responses", iter(pieces), [("Content-Encoding", coding)])
        assert reply.status == 200
        received = gate.engines["sglang"].recorder.generations()[-1]
        assert (received.body, received.header("content-length")) == (raw, (str(len(raw)),))


def test_http_2_without_a_length(gate: Gateway) -> None:
    raw = chat(100_000)
    data = encoded(raw, "zstd")
    headers = [("content-type", "application/json"), ("content-encoding", "zstd")]
    reply = h2c.request(gate.port, "POST", "/v1/chat/completions", headers, [data[:50], data[50:]])
    assert reply.status == 200
    [received] = gate.engines["sglang"].recorder.generations()
    assert (received.body, received.header("content-encoding")) == (raw, ())


def test_passthrough_stays_as_it_is(gate: Gateway) -> None:
    data = encoded(chat(1000), "gzip")
    gate.request("POST", "/tokenize", data, [("content-encoding", "gzip")])
    [received] = gate.engines["vllm"].recorder.generations()
    assert (received.body, received.header("content-encoding")) == (data, ("gzip",))
