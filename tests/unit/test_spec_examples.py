"""What the comments in examples/ say is true: where each kind of request can go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

import msgspec
import pytest

from routegen.emit.router_config import router_config
from routegen.pipeline import read_plan
from routegen_router.config import Config
from routegen_router.decide import Route, decide
from routegen_router.request import Facts
from support.policy import view

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
LLAMA: Final = "meta-llama/Llama-3.1-8B-Instruct"
QWEN: Final = "Qwen/Qwen2.5-7B-Instruct"
BIG: Final = "meta-llama/Llama-3.3-70B-Instruct"


@cache
def config(example: str) -> Config:
    """The example's router configuration, with what the file alone says of models: no engine is asked."""
    found = router_config(read_plan(EXAMPLES / example / "routes.yaml"))
    backends = tuple(msgspec.structs.replace(backend, poll=None) for backend in found.backends)
    return msgspec.structs.replace(found, backends=backends)


def outcomes(
    example: str,
    model: str | None = None,
    body: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
    draws: int = 100,
) -> Counter[str]:
    """Backends or error codes of a request -> how often, in random numbers spread evenly over [0, 1)."""
    routes = config(example)
    fields = {tuple(path.split(".")): value for path, value in (body or {}).items()}
    facts = Facts("/v1/chat/completions", model, fields, headers or {})
    known = view(routes)
    decisions = [decide(facts, routes, known, _always((number + 0.5) / draws)) for number in range(draws)]
    return Counter(found.backend if isinstance(found, Route) else found.code for found in decisions)


def _always(point: float) -> Callable[[], float]:
    return lambda: point


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, {"vllm": 50, "sglang": 50}),
        ({"inference_server": "sglang"}, {"sglang": 100}),
        ({"owned_by": "vllm"}, {"vllm": 100}),
        ({"inference_server": "gold"}, {"unknown_inference_server": 100}),
    ],
)
def test_two_engines(body: dict[str, str], expected: dict[str, int]) -> None:
    assert outcomes("two-engines", body=body) == expected


@pytest.mark.parametrize(
    ("model", "body", "headers", "expected"),
    [
        (LLAMA, {}, {}, {"vllm-a", "vllm-b", "sglang"}),
        ("llama-3.1-8b-sql", {}, {}, {"vllm-a", "vllm-b"}),
        (QWEN, {}, {}, {"sglang"}),
        ("mistralai/Mistral-7B-Instruct-v0.3", {}, {}, {"vllm-b"}),
        (BIG, {}, {}, {"trtllm-1", "trtllm-2"}),
        ("BAAI/bge-m3", {}, {}, {"embeddings"}),
        ("gpt-5", {}, {}, {"model_not_found"}),
        (LLAMA, {"inference_server": "vllm"}, {}, {"vllm-a", "vllm-b"}),
        (BIG, {"inference_server": "sglang"}, {}, {"engine_model_mismatch"}),
        (BIG, {"metadata.tier": "latency"}, {}, {"trtllm-1", "trtllm-2"}),
        (LLAMA, {"metadata.tier": "batch-7"}, {}, {"vllm-b"}),
        (QWEN, {"metadata.tier": "batch-7"}, {}, {"sglang"}),
        (LLAMA, {"metadata.tier": "cheap"}, {}, {"unknown_value"}),
        (LLAMA, {}, {"x-tenant": "gold-7"}, {"sglang"}),
        (BIG, {}, {"x-tenant": "gold-7"}, {"trtllm-1", "trtllm-2"}),
        (LLAMA, {}, {"x-tenant": "silver"}, {"vllm-a", "vllm-b", "sglang"}),
    ],
)
def test_five_models(model: str, body: dict[str, str], headers: dict[str, str], expected: set[str]) -> None:
    assert set(outcomes("five-models", model, body, headers)) == expected


def test_the_canary_gets_one_session_in_a_hundred_and_keeps_it() -> None:
    sessions = [
        outcomes("canary", LLAMA, headers={"x-session-id": f"session-{number}"}, draws=3) for number in range(400)
    ]
    assert all(len(found) == 1 for found in sessions)
    assert 0 < sum("canary" in found for found in sessions) < 15
    assert outcomes("canary", LLAMA) == {"stable": 99, "canary": 1}
    assert outcomes("canary", LLAMA, headers={"x-engine": "sglang"}) == {"canary": 100}


def test_outside_kubernetes_prefers_the_workstation_where_it_serves_the_model() -> None:
    assert outcomes("outside-kubernetes") == {"workstation": 100}
    assert outcomes("outside-kubernetes", "Qwen/Qwen2.5-72B-Instruct") == {"datacenter": 100}
    assert outcomes("outside-kubernetes", body={"inference_server": "sglang"}) == {"datacenter": 100}
