"""The paths of the API that both engines serve, by their own clients, through a real Envoy."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from support.envoy import VERSIONS
from support.gateway import Gateway, gateway
from support.sdk import anthropic_client, openai_client

ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: paths}
spec:
  gateway: {target: envoy}
  maxBodyBytes: 1Mi
  backends:
    a: {endpoints: [127.0.0.1:8001], ownedBy: vllm}
    b: {endpoints: [127.0.0.1:8002], ownedBy: sglang}
"""
MODELS = {"a": ["both", "only-a"], "b": ["both", "only-b"]}
HELLO: Any = [{"role": "user", "content": "Hello to you"}]


@pytest.fixture(scope="module", params=VERSIONS)
def running(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    with gateway(ROUTES, MODELS, version=request.param) as started:
        yield started


def client(running: Gateway) -> anthropic.Anthropic:
    return anthropic_client(running.port)


@pytest.mark.parametrize(("engine", "owner"), [("a", "vllm"), ("b", "sglang")])
def test_the_anthropic_client_reaches_the_engine_that_it_names(running: Gateway, engine: str, owner: str) -> None:
    named: Any = {"extra_body": {"inference_server": engine}, "model": "both", "max_tokens": 8, "messages": HELLO}
    whole = client(running).messages.create(**named)
    assert whole.content[0].type == "text"
    assert whole.content[0].text.startswith(f"{owner}/both:")
    with client(running).messages.stream(**named) as stream:
        assert "".join(stream.text_stream) == whole.content[0].text
        assert stream.get_final_message().stop_reason == "max_tokens"
    counted = client(running).messages.count_tokens(
        model="both", messages=HELLO, extra_body={"inference_server": engine}
    )
    assert counted.input_tokens == whole.usage.input_tokens == 3


def test_a_message_that_a_client_compressed_arrives_as_it_was(running: Gateway) -> None:
    running.forget()
    body = json.dumps({"model": "only-b", "max_tokens": 8, "messages": HELLO}).encode()
    packed = [("content-type", "application/json"), ("content-encoding", "gzip")]
    reply = running.request("POST", "/v1/messages", gzip.compress(body), packed)
    assert (reply.status, reply.header("x-inference-server")) == (200, "b")
    [received] = running.engines["b"].recorder.generations()
    assert received.body == body


def test_refusals_have_anthropics_shape_and_its_clients_errors(running: Gateway) -> None:
    with pytest.raises(anthropic.NotFoundError) as missing:
        client(running).messages.create(model="gpt", max_tokens=8, messages=HELLO)
    assert missing.value.body == {
        "type": "error",
        "error": {
            "type": "not_found_error",
            "message": 'The model "gpt" is not served here; available: both, only-a, only-b.',
        },
    }
    with pytest.raises(anthropic.BadRequestError) as unknown:
        client(running).messages.create(
            model="both", max_tokens=8, messages=HELLO, extra_body={"inference_server": "gold"}
        )
    assert error_type(unknown.value.body) == "invalid_request_error"


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", "/v1/messages", None, (404, "not_found_error")),
        ("POST", "/v1/messages/batches", b"{}", (404, "not_found_error")),
        ("POST", "/v1/messages?beta=true", b"x" * (2 << 20), (413, "request_too_large")),
        ("POST", "/v1/messages", b"{", (400, "invalid_request_error")),
    ],
)
def test_the_gateways_own_refusals_have_it_too(
    running: Gateway, method: str, path: str, body: bytes | None, expected: tuple[int, str]
) -> None:
    reply = running.request(method, path, body)
    assert (reply.status, error_type(reply.json)) == expected
    assert reply.json["type"] == "error"
    assert reply.json["error"]["message"]


def test_other_paths_keep_openais_shape(running: Gateway) -> None:
    assert running.request("GET", "/v1/messagesx").code == "not_found"
    assert running.post({"model": "gpt"}).code == "model_not_found"


def test_a_router_that_is_down_is_told_in_anthropics_shape() -> None:
    with gateway(ROUTES, MODELS, routers=["127.0.0.1:1"]) as started:
        with pytest.raises(anthropic.APIStatusError) as down:
            client(started).messages.create(model="both", max_tokens=8, messages=HELLO)
        assert (down.value.status_code, error_type(down.value.body)) == (503, "overloaded_error")
        assert started.post({"model": "both"}).code == "router_unavailable"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/tokenize", {"prompt": "one two"}),
        ("/detokenize", {"tokens": [1, 2]}),
        ("/v1/rerank", {"query": "q", "documents": ["x", "y"]}),
        ("/v1/score", {"text_1": "q", "text_2": ["x", "y"]}),
    ],
)
def test_the_small_paths_are_routed_by_their_body(running: Gateway, path: str, body: dict[str, Any]) -> None:
    for engine in ("a", "b"):
        running.forget()
        reply = running.post({"model": f"only-{engine}", **body}, path=path)
        assert (reply.status, reply.header("x-inference-server")) == (200, engine)
        [received] = [one for one in running.engines[engine].recorder.requests if one.path == path]
        assert json.loads(received.body) == {"model": f"only-{engine}", **body}


@pytest.mark.parametrize("path", ["/pooling", "/classify", "/v1/audio/speech", "/v1/images/generations", "/generate"])
def test_what_only_one_engine_serves_is_for_the_operator_to_open(running: Gateway, path: str) -> None:
    assert running.post({"model": "both"}, path=path).code == "not_found"


def test_the_openai_client_through_the_gateway(running: Gateway) -> None:
    through = openai_client(running.port)
    chat = through.chat.completions.create(model="only-b", messages=HELLO)
    assert (chat.choices[0].message.content or "").startswith("sglang/only-b:")
    chunks = through.chat.completions.create(model="only-a", messages=HELLO, stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text.startswith("vllm/only-a:")
    assert len(through.embeddings.create(model="only-b", input=["x", "y"]).data) == 2
    assert through.responses.create(model="only-a", input="hi").output_text.startswith("vllm/only-a:")


def error_type(body: Any) -> str:
    return str(body["error"]["type"])
