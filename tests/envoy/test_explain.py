"""``explain`` and a real gateway, asked the same requests: the same status, the same body, the same engine."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from routegen.explain import knowledge
from routegen.explain.gateway import Request
from routegen.explain.report import checked_config, explain
from support.encoded import encoded
from support.envoy import VERSIONS
from support.gateway import Gateway, gateway

ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: explained}
spec:
  gateway: {target: envoy, hostnames: [llm.example, "*.gateway.example"]}
  maxBodyBytes: 1Mi
  passthrough:
    - {path: /tokenize, method: POST, backend: vllm}
    - {path: /files/*, method: GET, backend: sglang}
    - {path: /*, method: PUT, backend: vllm}
  backends:
    vllm: {endpoints: [127.0.0.1:8001], ownedBy: vllm, models: [both, only/vllm]}
    sglang: {endpoints: [127.0.0.1:8002], ownedBy: sglang, models: [both, only-sglang]}
  rules:
    - body: inference_server
    - header: x-engine
    - {reject: "Not this tenant.", when: {header: {x-tenant: none}}}
    - split: {vllm: 1}
"""
MODELS = {"vllm": ["both", "only/vllm"], "sglang": ["both", "only-sglang"]}
HOST = ("host", "llm.example")
CHAT = "/v1/chat/completions"
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]
PATHS = [
    CHAT,
    "/",
    "/v1/models",
    "/v1/models?x=1",
    "/v1/models/",
    "/v1/models/only/vllm",
    "/v1/models/only%2Fvllm",
    "/v1/models//both",
    "/v1/models/nobody",
    "/v1/models/..",
    "/tokenize",
    "/tokenize?q=%2F",
    "/tokenize/x",
    "/files",
    "/files/a/b",
    "/files/..%2fadmin",
    "/files/%5c",
    "/files/../tokenize",
]
ODD_PATHS = [
    "/v1/chat/completions/",
    "//v1//chat/completions",
    "/v1/./chat/completions",
    "/v1/x/../chat/completions",
    "/../v1/chat/completions",
    "/v1//x/../chat/completions",
    "/v1/%63hat/completions",
    "/v1/chat%2Fcompletions",
    "/v1/%2e/chat/completions",
    "/v1/%2E%2e/v1/chat/completions",
    "/v1\\chat\\completions",
    "/v1/chat/completions;x=1",
    "/v1/chat/completions#frag",
    "/v1/chat/completions?x#frag",
    "/V1/chat/completions",
    "/v1/chat/completions?x=/../y",
    "/v1/chat/completions?",
    "/v1/chat/completions??x=%00",
    "/v1/chat/completions%20",
    "/v1/chat/completions%3Fx",
    "/v1/chat/comple%tions",
    "/v1/chat/completions%",
    "/v1/chat/completions%00",
    "/v1/chat/completions%7e/..",
    "/v1/chat/completions/.",
    "/v1/chat/completions/x/..",
    "/v1/chat/..chat/../completions",
    "/...",
]
HOSTS = [
    "llm.example",
    "LLM.example:8080",
    "a.gateway.example",
    "a.b.gateway.example:1",
    "gateway.example",
    "other",
    "x-llm.example",
]
BODIES = [
    b"",
    b"{}",
    b'{"model":',
    b'{"x":"\xff"}',
    b"[]",
    b'{"model":"nobody"}',
    b'{"model":"only/vllm","inference_server":"sglang"}',
    b'{"inference_server":"gold"}',
    b'{"inference_server":1}',
    b'{"inference_server":"vllm","inference_server":"sglang"}',
    b'{"inference_server":"\\ud800"}',
    b'{"inference_server":"sglang"}',
    b'{"x":"' + b"x" * (1 << 20) + b'"}',
]
HEADERS = [
    ("x-engine", "sglang"),
    ("x-engine", "gold"),
    ("x-tenant", "none"),
    ("x-inference-server", "sglang"),
    ("x_engine", "sglang"),
    ("content-encoding", "gzip"),
    ("content-encoding", "compress"),
    ("content-encoding", "identity"),
]


def requests() -> Iterator[Request]:
    for method, path in itertools.product(METHODS, PATHS):
        yield Request(method, path, (HOST,), b"{}" if method in {"POST", "PUT", "PATCH"} else b"")
    for method, path in itertools.product(["POST", "PUT", "GET"], ODD_PATHS):
        yield Request(method, path, (HOST,), b"{}" if method != "GET" else b"")
    for host, path in itertools.product(HOSTS, [CHAT, "/tokenize", "/v1/nothing"]):
        yield Request("POST", path, (("host", host),), b"{}")
    for body in BODIES:
        yield Request("POST", CHAT, (HOST,), body)
    for header in HEADERS:
        yield Request("POST", CHAT, (HOST, header), b'{"model":"both"}')
    yield Request("POST", CHAT, (HOST, *HEADERS[:2]), b"{}")
    for raw in (b'{"model":"only-sglang"}', b'{"model":5}', b'{"x":"' + b"x" * (1 << 20) + b'"}'):
        yield Request("POST", CHAT, (HOST, ("content-encoding", "gzip, zstd")), encoded(raw, "gzip", "zstd"))


@pytest.fixture(scope="module", params=VERSIONS)
def gate(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    with gateway(ROUTES, MODELS, version=request.param) as started:
        yield started


def test_explain_says_what_the_gateway_does(gate: Gateway) -> None:
    known = knowledge.polled(checked_config(gate.plan))
    different = []
    for request in requests():
        reply = gate.request(request.method, request.path, request.body or None, request.headers)
        backend = reply.header("x-inference-server")
        told = explain(gate.plan, known, request, lambda: 0.0)
        said = (told.backend, told.reply.status, told.reply.body)
        done = (backend, None, None) if backend else (None, reply.status, reply.json if reply.body else None)
        if said != done:
            different.append((request.method, request.path, request.headers, request.body[:50], said, done))
    assert not different, "\n".join(map(str, different))
