"""The routing policy where engines have stopped answering, or have not told their models yet."""

from __future__ import annotations

import pytest

from routegen_router.config import Models
from routegen_router.decide import ONLY_CANDIDATE, Route
from routegen_router.models import Answer
from routegen_router.refusals import Reject
from routegen_router.request import Facts
from routegen_router.rules import Lookup
from support.policy import (
    BACKENDS,
    BY_ENGINE,
    BY_OWNER,
    CHAIN,
    EVEN,
    answer,
    backend,
    config,
    facts,
    refused,
    run,
    view,
)


@pytest.mark.parametrize(
    ("request_", "dead", "expected"),
    [
        (facts(engine="sglang"), {"sglang"}, Route("sglang", "engine")),
        (facts(owner="sglang"), {"sglang"}, Route("sglang", "owner")),
        (facts(engine="vllm-a"), {"vllm-a"}, Route("vllm-a", "engine")),
        (facts(engine="vllm"), {"vllm-a"}, Route("vllm-b", "split")),
        (facts(engine="vllm"), {"vllm-a", "vllm-b"}, Route("vllm-a", "split")),
        (facts(model="llama"), {"vllm-a", "vllm-b"}, Route("sglang", "split")),
        (facts(model="qwen"), {"sglang"}, Route("sglang", "split")),
        (facts(model="big"), {"trtllm"}, Route("trtllm", ONLY_CANDIDATE)),
    ],
)
def test_splits_skip_dead_engines_and_explicit_choices_never_fail_over(
    request_: Facts, dead: set[str], expected: Route
) -> None:
    made = config(BACKENDS, CHAIN)
    assert run(request_, given=made, known=view(made, dead=dead)) == expected


def test_the_even_choice_at_the_chains_end_skips_dead_engines() -> None:
    made = config(BACKENDS, (BY_ENGINE,))
    assert run(facts(engine="vllm"), given=made, known=view(made, dead={"vllm-a"})) == Route("vllm-b", "engine")


# While engines have not told their models yet.

POLLED = (
    backend("a", "vllm", polled=True),
    backend("b", None, polled=True),
    backend("c", "sglang", ["qwen"]),
)


@pytest.mark.parametrize(
    ("request_", "answers", "expected"),
    [
        (facts(model="llama"), {}, (503, "registry_incomplete", "model", None)),
        (facts(model="llama"), {"a": answer("other")}, (503, "registry_incomplete", "model", None)),
        (facts(model="llama"), {"a": answer("x"), "b": answer("y")}, (404, "model_not_found", "model", None)),
        (
            facts(model="llama", engine="b"),
            {"a": answer("llama")},
            (503, "registry_incomplete", "inference_server", "engine"),
        ),
        (facts(model="qwen", engine="vllm"), {}, (503, "registry_incomplete", "inference_server", "engine")),
        (
            facts(model="qwen", engine="vllm"),
            {"a": answer("llama"), "b": answer("llama")},
            (400, "engine_model_mismatch", "inference_server", "engine"),
        ),
        (facts(engine="trtllm"), {}, (503, "registry_incomplete", "inference_server", "engine")),
        (
            facts(engine="trtllm"),
            {"b": answer(owner="x")},
            (400, "unknown_inference_server", "inference_server", "engine"),
        ),
    ],
)
def test_what_is_not_known_yet_is_503_and_never_a_guess(
    request_: Facts, answers: dict[str, Answer], expected: tuple[int, str, str | None, str | None]
) -> None:
    for rule in (BY_ENGINE, replace_next(BY_ENGINE)):
        made = config(POLLED, (rule, BY_OWNER, EVEN))
        decision = run(request_, given=made, known=view(made, answers))
        if expected[0] == 400 and rule is not BY_ENGINE:
            assert isinstance(decision, Route)
        else:
            assert refused(decision) == expected


def replace_next(rule: Lookup) -> Lookup:
    return Lookup(name=rule.name, source=rule.source, on_unknown="next", on_mismatch="next")


def test_503_says_when_to_try_again() -> None:
    made = config(POLLED, CHAIN)
    decision = run(facts(model="llama"), given=made, known=view(made))
    assert isinstance(decision, Reject)
    assert decision.headers == {"retry-after": "1"}


@pytest.mark.parametrize(
    ("request_", "answers", "backend_"),
    [
        (facts(engine="a"), {}, "a"),
        (facts(engine="vllm"), {}, "a"),
        (facts(model="qwen"), {}, "c"),
        (facts(model="qwen", owner="sglang"), {}, "c"),
        (facts(model="llama", engine="vllm"), {"a": answer("llama", owner="ignored")}, "a"),
        (facts(owner="trtllm"), {"b": answer("big", owner="trtllm")}, "b"),
        (facts(model="big"), {"b": answer("big", owner="trtllm")}, "b"),
    ],
)
def test_what_is_known_already_is_served_before_every_engine_answers(
    request_: Facts, answers: dict[str, Answer], backend_: str
) -> None:
    made = config(POLLED, CHAIN)
    decision = run(request_, given=made, known=view(made, answers))
    assert isinstance(decision, Route)
    assert decision.backend == backend_


def test_unknown_models_may_be_allowed() -> None:
    made = config(BACKENDS, CHAIN, Models(unknown="allow"))
    assert run(facts(model="gpt-5", engine="sglang"), given=made) == Route("sglang", "engine")
    assert run(facts(model="qwen", engine="vllm-a"), given=made) != Route("vllm-a", "engine")
