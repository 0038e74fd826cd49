"""The order of the arms and the arrival of requests: in the seed, balanced, and as the rate says."""

import itertools
import statistics
from collections import Counter

import msgspec
import pytest

from routegen.bench.design import Design, Load
from routegen.bench.schedule import arrivals, order
from support.bench_runs import DESIGN

SLOTS = [("a",), ("b",), ("c",)]


def at_rate(kind: str, rate: float = 10.0) -> Design:
    return msgspec.structs.replace(DESIGN, load=Load(kind=kind, rate=rate))  # type: ignore[arg-type]


def test_every_block_draws_its_order_independently_of_the_one_before() -> None:
    for seed in range(3):
        first = [order(SLOTS[:2], seed=seed, block=block)[0] == SLOTS[0] for block in range(4000)]
        assert abs(statistics.fmean(first) - 0.5) < 0.03
        again = [before == after for before, after in itertools.pairwise(first)]
        assert abs(statistics.fmean(again) - 0.5) < 0.03


def test_every_order_of_three_is_as_likely() -> None:
    orders = Counter(order(SLOTS, seed=9, block=block) for block in range(6000))
    assert len(orders) == 6
    assert all(abs(count - 1000) < 130 for count in orders.values())


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
