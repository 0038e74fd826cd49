"""Choosing by weight: shares come true, and sticky keys stay where they are."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routegen_router.choice import rendezvous, shares, weighted
from routegen_router.config import Source, Split
from routegen_router.decide import Route, decide
from support.policy import backend, config, facts, view

KEYS = [f"session-{number}" for number in range(20_000)]
WEIGHTS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.floats(0.001, 1e6)), min_size=1, max_size=4, unique_by=lambda w: w[0]
)


@pytest.mark.parametrize(
    ("point", "name"),
    [(0.0, "a"), (0.009, "a"), (0.0101, "b"), (0.5099, "b"), (0.5101, "c"), (0.9999999999999999, "c")],
)
def test_a_point_falls_into_the_share_that_covers_it(point: float, name: str) -> None:
    assert weighted(point, [("a", 1), ("b", 50), ("c", 49)]) == name


@given(WEIGHTS)
def test_evenly_spread_points_are_shared_by_weight(weights: list[tuple[str, float]]) -> None:
    counts = Counter(weighted(step / 1000, weights) for step in range(1000))
    total = sum(weight for _, weight in weights)
    for name, weight in weights:
        assert counts[name] == pytest.approx(1000 * weight / total, abs=len(weights))


@given(WEIGHTS, st.text(max_size=20))
def test_a_key_is_given_to_one_of_the_names_whatever_their_order(weights: list[tuple[str, float]], key: str) -> None:
    chosen = rendezvous(key, weights)
    assert chosen in dict(weights)
    assert rendezvous(key, weights[::-1]) == chosen


def test_keys_are_shared_by_weight() -> None:
    counts = Counter(rendezvous(key, [("a", 1), ("b", 2), ("c", 7)]) for key in KEYS)
    assert counts["a"] / len(KEYS) == pytest.approx(0.1, abs=0.01)
    assert counts["b"] / len(KEYS) == pytest.approx(0.2, abs=0.012)


def test_a_key_goes_to_the_same_place_in_another_process() -> None:
    keys = KEYS[:200]
    code = (
        "from routegen_router.choice import rendezvous\n"
        "print(*[rendezvous(f'session-{n}', [('stable', 99), ('canary', 1), ('third', 50)]) for n in range(200)])"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    weights = [("stable", 99.0), ("canary", 1.0), ("third", 50.0)]
    assert told.stdout.split() == [rendezvous(key, weights) for key in keys]


def test_a_key_goes_to_the_same_place_in_every_release() -> None:
    chosen = [rendezvous(key, [("stable", 1), ("canary", 1)]) for key in KEYS[:8]]
    assert chosen == ["canary", "stable", "canary", "stable", "canary", "canary", "stable", "stable"]


def test_raising_one_percent_to_two_moves_one_percent_and_nothing_back() -> None:
    before = {key: rendezvous(key, [("stable", 99), ("canary", 1)]) for key in KEYS}
    after = {key: rendezvous(key, [("stable", 98), ("canary", 2)]) for key in KEYS}
    moved = [key for key in KEYS if before[key] != after[key]]
    assert len(moved) / len(KEYS) == pytest.approx(0.01, abs=0.003)
    assert all(after[key] == "canary" for key in moved)


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


def test_shares_add_up_to_one() -> None:
    assert shares([("vllm", 50, ["a", "b"]), ("b", 25, ["b"]), ("c", 25, ["c"])]) == {"a": 0.25, "b": 0.5, "c": 0.25}
