"""The routing header belongs to the router: a client's copy, in whatever form, changes nothing and reaches nobody."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from routegen.plan import Addresses
from support.envoy import VERSIONS
from support.fake_router import fake_router
from support.gateway import Gateway, first_backend, gateway
from support.serving import answering
from support.spoofed import FORMS

ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: spoofed}
spec:
  gateway: {target: envoy}
  passthrough:
    - {path: /tokenize, method: POST, backend: vllm}
  backends:
    vllm: {endpoints: [127.0.0.1:8001], ownedBy: vllm}
    sglang: {endpoints: [127.0.0.1:8002], ownedBy: sglang}
  rules:
    - body: inference_server
    - split: {vllm: 1}
"""
MODELS = {"vllm": ["both"], "sglang": ["both", "only-sglang"]}

REQUESTS: dict[str, tuple[str, str, bytes | None]] = {
    "chooses nothing": ("POST", "/v1/chat/completions", b'{"model":"both"}'),
    "chooses vllm": ("POST", "/v1/chat/completions", b'{"inference_server":"vllm"}'),
    "refused": ("POST", "/v1/chat/completions", b'{"inference_server":"gold"}'),
    "broken": ("POST", "/v1/embeddings", b"{"),
    "no body": ("POST", "/v1/completions", b""),
    "GET on an inference path": ("GET", "/v1/chat/completions", None),
    "models": ("GET", "/v1/models", None),
    "unlisted path": ("POST", "/v1/rerank", b'{"model":"both"}'),
    "passthrough": ("POST", "/tokenize", b'{"model":"both"}'),
}


def outcome(gate: Gateway, kind: str, headers: list[tuple[str, str]]) -> tuple[object, ...]:
    """What the client sees of its answer, which engines were reached, and which routing headers they saw."""
    gate.forget()
    method, path, body = REQUESTS[kind]
    reply = gate.request(method, path, body, headers)
    arrived = [one for engine in gate.engines.values() for one in engine.recorder.generations()]
    assert not [name for one in arrived for name, _ in one.headers if "_" in name]
    content = reply.body if reply.status != 200 else b""  # engines' answers carry ids and times
    seen = [one.header("x-inference-server") for one in arrived]
    return reply.status, content, reply.header("x-inference-server"), gate.reached(), seen


@pytest.fixture(scope="module", params=VERSIONS)
def gate(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    with gateway(ROUTES, MODELS, version=request.param) as started:
        yield started


@pytest.mark.parametrize("kind", REQUESTS)
@pytest.mark.parametrize("form", FORMS)
def test_a_client_sent_routing_header_changes_nothing(gate: Gateway, kind: str, form: str) -> None:
    expected = outcome(gate, kind, [])
    assert outcome(gate, kind, FORMS[form]) == expected
    assert expected[4] in ([], [("vllm",)])


def refused_everywhere(gate: Gateway, code: str, kinds: list[str]) -> None:
    """Every form of every kind of request is a 503 that no engine has seen and that names none."""
    for kind in kinds:
        method, path, body = REQUESTS[kind]
        for form in ([], *FORMS.values()):
            reply = gate.request(method, path, body, form)
            assert (reply.status, reply.code) == (503, code), (kind, form)
            assert reply.header("x-inference-server") is None
    assert gate.reached() == {"vllm": 0, "sglang": 0}


ASKED = ["chooses nothing", "chooses vllm", "refused", "broken", "models"]
"""Requests that need the router."""


@pytest.mark.parametrize("version", VERSIONS)
def test_with_the_router_stopped_everything_that_needs_it_is_503(version: str) -> None:
    with gateway(ROUTES, MODELS, version=version) as gate:
        assert gate.post(b'{"model":"both"}').status == 200
        assert gate.router is not None
        gate.router.stop()
        gate.forget()
        refused_everywhere(gate, "router_unavailable", ASKED)
        assert gate.request("POST", "/tokenize", b"x").header("x-inference-server") == "vllm"


@pytest.mark.parametrize("version", VERSIONS)
def test_with_a_router_that_closes_its_stream_without_a_reply_it_is_503(version: str) -> None:
    with fake_router("closes") as address, gateway(ROUTES, MODELS, version=version, routers=[address]) as gate:
        refused_everywhere(gate, "route_not_set", ASKED[:4])
        refused_everywhere(gate, "router_unavailable", ["models"])


def test_headers_that_ask_envoy_for_something_are_removed_too() -> None:
    asks = [("x-envoy-retry-on", "5xx"), ("x-envoy-max-retries", "9"), ("x-envoy-original-path", "/metrics")]
    with gateway(ROUTES, MODELS) as gate:
        reply = gate.request("POST", "/v1/completions", b'{"model":"both"}', asks)
        assert (reply.status, gate.reached()) == (200, {"vllm": 1, "sglang": 0})
        [received] = gate.engines["vllm"].recorder.generations()
        assert not [name for name, _ in received.headers if name.startswith("x-envoy")]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_engine_cannot_name_itself_as_somebody_else(version: str) -> None:
    with (
        answering(200, x_inference_server="sglang", X_Inference_Server="gold") as address,
        gateway(ROUTES, MODELS, version=version, adjust=first_backend(reach=Addresses((address,)))) as running,
    ):
        reply = running.post({"model": "both", "inference_server": "vllm"})
        assert [value for name, value in reply.headers if name == "x-inference-server"] == ["vllm"]
        passed = running.request("POST", "/tokenize", b"{}", [])
        assert [value for name, value in passed.headers if name == "x-inference-server"] == ["vllm"]
