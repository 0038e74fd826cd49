"""The Responses API through a real Envoy: a follow-up reaches the engine that remembers, or is refused."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

from support.envoy import VERSIONS
from support.gateway import Gateway, gateway
from support.sdk import openai_client

ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: stateful}
spec:
  gateway: {target: envoy}
  backends:
    vllm: {endpoints: [127.0.0.1:8001], ownedBy: vllm}
    sglang: {endpoints: [127.0.0.1:8002], ownedBy: sglang}
"""
ONE = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: one}
spec:
  gateway: {target: envoy}
  backends: {vllm: {endpoints: [127.0.0.1:8001], ownedBy: vllm}}
"""
SERVED = ["qwen"]


@pytest.fixture(scope="module", params=VERSIONS)
def two(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    with gateway(ROUTES, {"vllm": SERVED, "sglang": SERVED}, version=request.param) as running:
        yield running


def client(running: Gateway) -> openai.OpenAI:
    return openai_client(running.port)


def test_a_follow_up_continues_where_the_client_says(two: Gateway) -> None:
    for _ in range(4):
        raw = client(two).responses.with_raw_response.create(model="qwen", input="hi")
        engine, first = raw.headers["x-inference-server"], raw.parse()
        named = {"inference_server": engine}
        second = client(two).responses.create(
            model="qwen", input="go on", previous_response_id=first.id, extra_body=named
        )
        assert second.output_text.startswith(f"{engine}/qwen: ")


def test_a_follow_up_without_a_name_reaches_nobody(two: Gateway) -> None:
    first = client(two).responses.create(model="qwen", input="hi")
    two.forget()
    for _ in range(5):
        with pytest.raises(openai.BadRequestError) as refused:
            client(two).responses.create(model="qwen", input="go on", previous_response_id=first.id)
        assert refused.value.code == "stateful_request"
        with pytest.raises(openai.BadRequestError):
            client(two).responses.create(model="qwen", input="go on", conversation={"id": "conv_1"})
    assert two.reached() == {"vllm": 0, "sglang": 0}


def test_with_one_backend_nothing_is_noticed() -> None:
    with gateway(ONE, {"vllm": SERVED}) as running:
        first = client(running).responses.create(model="qwen", input="hi")
        second = client(running).responses.create(model="qwen", input="go on", previous_response_id=first.id)
        assert second.id != first.id
