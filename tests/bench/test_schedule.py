"""The order of the arms and the arrival of requests: in the seed, balanced, and as the rate says."""

import itertools
import statistics

import msgspec
import pytest

from routegen.bench.design import Design, Load
from routegen.bench.schedule import arrivals, order
from support.bench_runs import DESIGN

SLOTS = [("a",), ("b",), ("c",)]


def at_rate(kind: str, rate: float = 10.0) -> Design:
    return msgspec.structs.replace(DESIGN, load=Load(kind=kind, rate=rate))  # type: ignore[arg-type]


def test_every_odd_block_runs_the_block_before_it_backwards() -> None:
    for block in range(0, 40, 2):
        there, back = (order(SLOTS, seed=5, block=number) for number in (block, block + 1))
        assert there == tuple(reversed(back))
        assert sorted(there) == SLOTS


def test_every_arm_stands_as_early_as_late() -> None:
    for slots in (SLOTS[:2], SLOTS):
        places = {slot: [order(slots, seed=9, block=block).index(slot) for block in range(20)] for slot in slots}
        assert {statistics.fmean(found) for found in places.values()} == {(len(slots) - 1) / 2}


def test_the_order_is_in_the_seed_and_not_always_the_same() -> None:
    orders = [order(SLOTS, seed=1, block=block) for block in range(0, 40, 2)]
    assert orders == [order(SLOTS, seed=1, block=block) for block in range(0, 40, 2)]
    assert len(set(orders)) > 3


def test_a_constant_rate_has_equal_gaps() -> None:
    assert arrivals(at_rate("constant"), 0, 4) == pytest.approx((0.0, 0.1, 0.2, 0.3))


def test_poisson_arrivals_bring_the_rate_in_every_block_with_random_gaps() -> None:
    for block in range(5):
        due = arrivals(at_rate("poisson"), block, 1000)
        gaps = [later - earlier for earlier, later in itertools.pairwise(due)]
        assert due[0] == 0.0
        assert due[-1] == pytest.approx(100.0, rel=0.01)
        assert statistics.stdev(gaps) == pytest.approx(statistics.fmean(gaps), rel=0.15), "as exponential gaps have"
    assert arrivals(at_rate("poisson"), 0, 9) == arrivals(at_rate("poisson"), 0, 9)
    assert arrivals(at_rate("poisson"), 0, 9) != arrivals(at_rate("poisson"), 1, 9)


def test_a_closed_loop_has_no_arrival_times() -> None:
    with pytest.raises(ValueError, match="closed loop"):
        arrivals(DESIGN, 0, 4)
