"""Requests through the Envoy that Envoy Gateway configured from what routegen rendered."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import APIStatusError, AsyncOpenAI

from routegen.demo.cases import CASES, MODELS, Case, OpenAI, Plain
from support.cluster.cluster import Cluster, Installation, rendered
from support.spoofed import FORMS

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / "examples/two-engines/routes.yaml").read_text(encoding="utf-8")
SERVICES = {
    "vllm": "vllm-qwen2-5-0-5b-kserve-workload-svc",
    "sglang": "sglang-qwen2-5-0-5b-kserve-workload-svc",
}
"""What KServe calls the Services of the example's engines."""


@pytest.fixture(scope="module")
def installed(cluster: Cluster) -> Iterator[Installation]:
    cluster.namespace("inference")
    for name, service in SERVICES.items():
        cluster.engines.add(name, service, "inference", name, MODELS[name])
    with cluster.installed(EXAMPLE) as installation:
        yield installation


def test_nothing_is_left_to_change_after_applying(installed: Installation) -> None:
    done = installed.api.kubectl("diff", "-f", "-", documents=rendered(installed.plan))
    assert (done.code, done.out) == (0, "")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
async def test_the_demo(installed: Installation, case: Case) -> None:
    """Each request of `make demo` is answered as there, and arrives where it does there."""
    engines = installed.cluster.engines
    engines.forget()
    for _ in range(case.times):
        status, code = await sent(installed, case)
        assert (status, code) == (case.status, case.code)
    counts = engines.reached()
    assert set(counts) == case.backends
    assert sum(counts.values()) == (case.times if case.backends else 0)
    for backend in counts:
        for received in engines[backend].recorder.generations():
            assert received.header("x-inference-server") == (backend,)
            assert not isinstance(case, Plain) or received.body == case.body


async def sent(installed: Installation, case: Case) -> tuple[int, str | None]:
    """Send it once; status and error code."""
    if isinstance(case, OpenAI):
        async with AsyncOpenAI(
            base_url=f"http://127.0.0.1:{installed.cluster.gateway.port}/v1", api_key="unused", max_retries=0
        ) as client:
            try:
                text = await case.call(client, {})
            except APIStatusError as error:
                return error.status_code, error.code
        assert any(text.startswith(f"{backend}/") for backend in case.backends), text
        return 200, None
    assert isinstance(case, Plain)
    reply = installed.request(case.method, case.path, case.body or None, list(case.headers.items()))
    assert case.answer_has in reply.body.decode()
    refusal = json.loads(reply.body).get("error")
    return reply.status, refusal["code"] if isinstance(refusal, dict) else None


REQUESTS: dict[str, tuple[str, str, bytes | None, frozenset[str]]] = {
    "names sglang": ("POST", "/v1/chat/completions", b'{"inference_server":"sglang"}', frozenset({"sglang"})),
    "names vllm": ("POST", "/v1/completions", b'{"inference_server":"vllm"}', frozenset({"vllm"})),
    "names nobody": ("POST", "/v1/chat/completions", b'{"inference_server":"gold"}', frozenset()),
    "broken": ("POST", "/v1/embeddings", b"{", frozenset()),
    "no body": ("POST", "/v1/completions", b"", frozenset()),
    "models": ("GET", "/v1/models", None, frozenset()),
    "GET on an inference path": ("GET", "/v1/chat/completions", None, frozenset()),
    "not served": ("POST", "/start_profile", b"{}", frozenset()),
}


@pytest.mark.parametrize("kind", REQUESTS)
@pytest.mark.parametrize("form", FORMS)
def test_a_clients_own_routing_header_changes_nothing(installed: Installation, form: str, kind: str) -> None:
    engines = installed.cluster.engines
    method, path, body, backends = REQUESTS[kind]
    plain = installed.request(method, path, body)
    engines.forget()
    reply = installed.request(method, path, body, FORMS[form])
    assert (reply.status, reply.header("x-inference-server")) == (plain.status, plain.header("x-inference-server"))
    assert set(engines.reached()) == backends
    for backend in backends:
        [received] = engines[backend].recorder.generations()
        assert received.header("x-inference-server") == (backend,)
        assert not [name for name, _ in received.headers if "_" in name]


def test_a_clients_request_id_reaches_the_engine(installed: Installation) -> None:
    engines = installed.cluster.engines
    engines.forget()
    assert installed.post({"inference_server": "vllm"}, headers=[("x-request-id", "mine-1")]).status == 200
    [received] = engines["vllm"].recorder.generations()
    assert received.header("x-request-id") == ("mine-1",)


def test_a_split_reaches_both_in_about_equal_parts(installed: Installation) -> None:
    counts: Counter[str | None] = Counter()
    for _ in range(200):
        reply = installed.post({"messages": []})
        counts[reply.header("x-inference-server")] += 1
    assert set(counts) == {"vllm", "sglang"}
    assert min(counts.values()) > 60, "with equal weights fewer than 60 of 200 come once in 100 million"


def test_large_bodies_arrive_whole_and_too_large_ones_do_not(installed: Installation) -> None:
    engines = installed.cluster.engines
    engines.forget()
    body = json.dumps({"inference_server": "sglang", "pad": "x" * (20 << 20)}).encode()
    assert installed.post(body).status == 200
    [received] = engines["sglang"].recorder.generations()
    assert received.body == body
    engines.forget()
    assert installed.post(b'{"pad":"' + b"x" * (33 << 20) + b'"}').status == 413
    assert engines.reached() == {}
