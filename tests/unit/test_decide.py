"""The routing policy: tables of requests and the decisions that they must get."""

from __future__ import annotations

import pytest

from routegen_router.decide import ONLY_CANDIDATE, Route
from routegen_router.request import Facts
from support.policy import BY_ENGINE, facts, refused, run


@pytest.mark.parametrize(
    ("request_", "backend_", "rule"),
    [
        (facts(engine="sglang"), "sglang", "engine"),
        (facts(engine="vllm-b"), "vllm-b", "engine"),
        (facts(engine="nvidia"), "trtllm", "engine"),
        (facts(owner="sglang"), "sglang", "owner"),
        (facts(engine="vllm", owner="vllm-a"), "vllm-a", "owner"),
        (facts(engine="vllm", model="mistral"), "vllm-b", "engine"),
        (facts(engine="vllm", model="llama-lora-7"), "vllm-a", "engine"),
        (facts(model="qwen"), "sglang", "split"),
        (facts(model="big"), "trtllm", ONLY_CANDIDATE),
        (facts(model="mistral"), "vllm-b", "split"),
    ],
)
def test_a_request_that_leaves_one_backend_goes_there(request_: Facts, backend_: str, rule: str) -> None:
    assert run(request_) == Route(backend_, rule)


def test_a_chain_that_chose_nothing_refuses() -> None:
    assert refused(run(facts(), (BY_ENGINE,))) == (400, "no_route", None, None)
    assert refused(run(facts(model="llama"), ())) == (400, "no_route", None, None)


@pytest.mark.parametrize(("point", "backend_"), [(0.0, "vllm-a"), (0.49, "vllm-a"), (0.5, "vllm-b"), (0.99, "vllm-b")])
def test_what_a_rule_left_is_split_evenly_at_the_chains_end(point: float, backend_: str) -> None:
    assert run(facts(engine="vllm"), (BY_ENGINE,), point) == Route(backend_, "engine")
