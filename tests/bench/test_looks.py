"""Looking again is planned: how often, and what each look may err."""

from __future__ import annotations

import math
import random
from itertools import pairwise
from statistics import NormalDist

import msgspec
import pytest

from routegen.bench.looks import levels, looks, reached, spaced
from support.bench_runs import DESIGN


def test_looks_grow_apart_and_end_at_the_most() -> None:
    assert spaced(200) == (20, 28, 40, 57, 80, 113, 160, 200)
    assert spaced(20) == (20,)


@pytest.mark.parametrize("most", range(20, 600))
def test_looks_never_stand_still(most: int) -> None:
    found = spaced(most)
    assert found[-1] == most
    assert all(before < now for before, now in pairwise(found))


def test_a_single_look_has_the_whole_level() -> None:
    assert levels((40,), 0.04) == pytest.approx((0.04,))


def test_two_looks_are_those_worked_out_elsewhere() -> None:
    """t² spent at half of the blocks is a quarter; what is left for the second is published to four digits."""
    assert levels((50, 100), 0.05) == pytest.approx((0.0125, 0.0436), abs=1e-4)


@pytest.mark.parametrize("most", [40, 200])
def test_all_looks_together_err_as_often_as_one_would(most: int) -> None:
    """20,000 random walks: 4 % and four standard errors of that share."""
    draw, blocks = random.Random(1), spaced(most)
    bounds = [
        (count, -NormalDist().inv_cdf(level / 2)) for count, level in zip(blocks, levels(blocks, 0.04), strict=True)
    ]
    crossed = 0
    for _ in range(20_000):
        total, at = 0.0, 0
        for count, bound in bounds:
            total += draw.gauss(0, math.sqrt(count - at))
            at = count
            if abs(total) > bound * math.sqrt(count):
                crossed += 1
                break
    assert abs(crossed / 20_000 - 0.04) < 4 * math.sqrt(0.04 * 0.96 / 20_000)


@pytest.mark.parametrize(
    ("planned", "blocks", "done", "at"),
    [
        ((), 40, 40, 40),
        ((), 40, 39, None),
        ((), 12, 12, None),
        ((20, 28, 40), 40, 19, None),
        ((20, 28, 40), 40, 27, 20),
        ((20, 28, 40), 40, 40, 40),
    ],
)
def test_a_verdict_is_on_the_last_look_that_is_whole(
    planned: tuple[int, ...], blocks: int, done: int, at: int | None
) -> None:
    design = msgspec.structs.replace(DESIGN, blocks=blocks, looks=planned)
    found = reached(design, frozenset(range(done)))
    assert (found.blocks if found else None) == at


def test_a_missing_block_in_the_middle_keeps_the_look_away() -> None:
    design = msgspec.structs.replace(DESIGN, blocks=20)
    assert reached(design, frozenset(range(21)) - {7}) is None
    (only,) = looks(design)
    assert only.blocks == 20
    assert only.level == pytest.approx(0.04)
