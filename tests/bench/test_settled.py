"""An arm that gets faster while it is measured is noticed; one that only drifts with the machine is not."""

from __future__ import annotations

import random

import msgspec
import pytest

from routegen.bench.analysis import analyse
from routegen.bench.records import Recorded
from routegen.bench.settled import DOUBT, unsettled
from routegen.bench.verdict import Pair
from support.bench_runs import make_run, measure


def warming(first: float, share: float, blocks: int = 40, seed: int = 1) -> list[Pair]:
    """Equal arms, of which one is slower at first, with 5 % noise of each block."""
    draw = random.Random(seed)
    return [Pair(block, 1.0, (1 + first * share**block) * (1 + draw.gauss(0, 0.05))) for block in range(blocks)]


def slowed(recorded: Recorded, arm: str, until: int, factor: float) -> Recorded:
    """The same with an arm that takes ``factor`` times as long in the blocks before ``until``."""
    requests = tuple(
        msgspec.structs.replace(request, chunks=tuple(factor * chunk for chunk in request.chunks))
        if request.arm == arm and request.block < until
        else request
        for request in recorded.requests
    )
    return Recorded(recorded.run, requests, recorded.blocks, recorded.samples)


@pytest.mark.parametrize("seed", range(5))
def test_a_long_warm_up_of_one_arm_is_noticed(seed: int) -> None:
    assert unsettled(warming(0.3, 0.9, seed=seed))


def test_arms_that_are_alike_all_the_time_are_called_unsettled_as_rarely_as_it_says() -> None:
    alarms = sum(unsettled(warming(0.0, 1.0, seed=seed)) for seed in range(1000))
    assert alarms <= 2 * DOUBT * 1000


def test_a_run_whose_arm_was_warming_up_has_no_verdict_and_says_why() -> None:
    steady = measure(make_run("a", "b"))
    assert [check.level for check in analyse(steady).checks if check.id == "settled"] == ["ok"]
    found = analyse(slowed(steady, "b", until=9, factor=1.3))
    [check] = [check for check in found.checks if check.id == "settled"]
    assert check.level == "fail"
    assert "b beside a: the difference moved by" in check.message
    assert "--warmup" in check.message
    assert not found.valid
    assert found.compared[0].primary.outcome == "no verdict"


def test_a_control_and_a_short_run_are_not_asked() -> None:
    run = make_run("a", "b", control=True)
    found = analyse(measure(run))
    assert len([check for check in found.checks if check.id == "settled"]) == 1
