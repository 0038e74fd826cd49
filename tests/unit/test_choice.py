"""Choosing by weight: shares come true, and sticky keys stay where they are."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routegen_router.choice import rendezvous, shares, weighted

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


def test_shares_add_up_to_one() -> None:
    assert shares([("vllm", 50, ["a", "b"]), ("b", 25, ["b"]), ("c", 25, ["c"])]) == {"a": 0.25, "b": 0.5, "c": 0.25}
