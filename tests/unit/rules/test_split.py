"""``split``: how it is written, and what it does; sticky keys stay where they are."""

from __future__ import annotations

from collections import Counter

import pytest

from routegen_router.decide import ONLY_CANDIDATE, Route, decide
from routegen_router.request import Facts, Source
from routegen_router.rules import Split
from support.policy import BACKENDS as FOUR
from support.policy import backend, config, facts, run, view
from support.written import rule

KEYS = [f"session-{number}" for number in range(20_000)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("split: {a: 99.5, b: 0}", Split(name="split", weights=(("a", 99.5), ("b", 0.0)))),
        (
            "{split: {a: 1}, stickyBy: {header: X-Session}}",
            Split(name="split", weights=(("a", 1.0),), sticky_by=Source(header="x-session")),
        ),
        (
            "{split: {a: 1}, stickyBy: {body: user.id}}",
            Split(name="split", weights=(("a", 1.0),), sticky_by=Source(body=("user", "id"))),
        ),
    ],
)
def test_it_is_written_like_this(text: str, expected: Split) -> None:
    assert rule(text) == expected


@pytest.mark.parametrize(
    ("request_", "point", "backend_"),
    [
        (facts(), 0.0, "vllm-a"),
        (facts(), 0.49, "vllm-a"),
        (facts(), 0.51, "sglang"),
        (facts(), 0.999, "sglang"),
        (facts(engine="vllm"), 0.49, "vllm-a"),
        (facts(engine="vllm"), 0.51, "vllm-b"),
        (facts(model="llama"), 0.51, "sglang"),
    ],
)
def test_a_split_shares_a_names_weight_among_its_candidates(request_: Facts, point: float, backend_: str) -> None:
    assert run(request_, point=point) == Route(backend_, "split")


@pytest.mark.parametrize("dead", [set(), {"vllm-a"}, {"sglang"}])
@pytest.mark.parametrize("point", [0.0, 0.5, 0.999])
def test_a_backend_of_weight_0_gets_nothing_from_a_split(point: float, dead: set[str]) -> None:
    rules = (Split(name="s", weights=(("vllm-a", 100), ("sglang", 0))),)
    made = config(FOUR, rules)
    assert run(facts(model="llama"), given=made, known=view(made, dead=dead), point=point) == Route("vllm-a", "s")


def test_a_split_without_weight_for_any_candidate_passes() -> None:
    rules = (Split(name="s", weights=(("sglang", 0), ("trtllm", 1))), Split(name="t", weights=(("sglang", 1),)))
    assert run(facts(model="qwen"), rules) == Route("sglang", "t")
    assert run(facts(model="qwen"), rules[:1]) == Route("sglang", ONLY_CANDIDATE)


SPLIT = Split(name="s", weights=(("vllm", 50), ("sglang", 30), ("nvidia", 20)), sticky_by=Source(header="x-engine"))
BACKENDS = (
    backend("v1", "vllm"),
    backend("v2", "vllm"),
    backend("v3", "vllm"),
    backend("s", "sglang"),
    backend("n", "nvidia"),
)
GIVEN = config(BACKENDS, (SPLIT,))


def placed(dead: set[str]) -> dict[str, str]:
    known = view(GIVEN, dead=dead)
    decisions = {key: decide(facts(header=key), GIVEN, known, lambda: 0.0) for key in KEYS[:4000]}
    return {key: decision.backend for key, decision in decisions.items() if isinstance(decision, Route)}


@pytest.mark.parametrize(("dead", "heirs"), [("v2", {"v1", "v3"}), ("s", {"v1", "v2", "v3", "n"})])
def test_a_backend_that_dies_moves_only_its_own_keys(dead: str, heirs: set[str]) -> None:
    before, after = placed(set()), placed({dead})
    assert len(after) == len(before) == 4000
    moved = {key for key in before if before[key] != after[key]}
    assert moved == {key for key in before if before[key] == dead}
    assert {after[key] for key in moved} == heirs


def test_a_names_keys_are_spread_evenly_over_its_backends() -> None:
    counts = Counter(placed(set()).values())
    assert counts["s"] / 4000 == pytest.approx(0.3, abs=0.03)
    for name in ("v1", "v2", "v3"):
        assert counts[name] / 4000 == pytest.approx(0.5 / 3, abs=0.025)


def test_a_backend_named_like_its_owner_shares_its_part_with_nobody() -> None:
    split = Split(name="s", weights=(("vllm", 1), ("sglang", 1)), sticky_by=Source(header="x-engine"))
    given = config((backend("vllm", "vllm"), backend("other", "vllm"), backend("sglang")), (split,))
    known = view(given)
    counts = Counter(decide(facts(header=key), given, known, lambda: 0.0) for key in KEYS[:4000])
    assert counts[Route("vllm", "s")] / 4000 == pytest.approx(0.5, abs=0.025)
    assert counts[Route("sglang", "s")] / 4000 == pytest.approx(0.5, abs=0.025)


@pytest.mark.parametrize("key", [None, ""])
def test_without_a_key_the_choice_is_random_by_weight(key: str | None) -> None:
    points = iter(step % 997 / 997 for step in range(10**9))
    known = view(GIVEN)
    counts = Counter(decide(facts(header=key), GIVEN, known, lambda: next(points)) for _ in range(4000))
    assert counts[Route("s", "s")] / 4000 == pytest.approx(0.3, abs=0.02)
    assert counts[Route("n", "s")] / 4000 == pytest.approx(0.2, abs=0.02)
