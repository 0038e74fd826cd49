"""The rule that turns an interval into a verdict."""

import math
import random

import msgspec
import pytest

from routegen.bench.metrics import BY_KEY
from routegen.bench.stats import Interval
from routegen.bench.verdict import Effect, Outcome, Pair, adjust, compare, decide

E2E, RATE = BY_KEY["e2e"], BY_KEY["request_rate"]


def logs(low: float, high: float) -> Interval:
    """An interval from percentages."""
    ends = math.log1p(low / 100), math.log1p(high / 100)
    return Interval(sum(ends) / 2, *ends, p=0.5)


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (4, 8, "base better"),
        (-8, -4, "other better"),
        (-1, 1, "equivalent"),
        (1, 2.5, "equivalent"),
        (-2.9, 2.9, "equivalent"),
        (-1, 5, "inconclusive"),
        (-9, 9, "inconclusive"),
        (0.5, 5, "inconclusive"),
        (0.5, 8, "base better"),
    ],
)
def test_each_interval_has_its_verdict_at_a_margin_of_three_percent(low: float, high: float, outcome: str) -> None:
    assert decide(E2E, logs(low, high), floor=0.01, margin=0.03) == outcome


def test_more_is_better_where_the_metric_says_so() -> None:
    assert decide(RATE, logs(4, 8), floor=0.01, margin=0.03) == "other better"
    assert decide(RATE, logs(-8, -4), floor=0.01, margin=0.03) == "base better"


def test_a_difference_below_the_noise_floor_is_not_called_better() -> None:
    assert decide(E2E, logs(4, 8), floor=0.07, margin=0.03) == "inconclusive"


def pairs(factor: float, spread: float = 0.02, count: int = 20) -> list[Pair]:
    draw = random.Random(7)
    return [Pair(block, 1.0, factor * math.exp(draw.gauss(0, spread))) for block in range(count)]


def effect(factor: float, spread: float = 0.02, control: Effect | None = None) -> Effect:
    return compare(E2E, pairs(factor, spread), level=0.05, margin=0.03, control=control)


def test_a_clear_difference_is_found_and_its_size_is_right() -> None:
    found = effect(1.1)
    assert found.outcome == "base better"
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0.1 < found.high
    assert found.blocks_needed is None


def test_swapping_the_arms_swaps_the_verdict() -> None:
    turned = [Pair(pair.block, pair.other, pair.base) for pair in pairs(1.1)]
    assert compare(E2E, turned, level=0.05, margin=0.03).outcome == "other better"


def test_noise_is_inconclusive_and_says_how_many_blocks_would_settle_it() -> None:
    found = effect(1.0, spread=0.2)
    assert found.outcome == "inconclusive"
    assert found.blocks_needed is not None
    assert found.blocks_needed > 20


def test_a_noisy_control_raises_the_floor_and_says_where_it_comes_from() -> None:
    control = effect(1.0, spread=0.3)
    found = effect(1.05, control=control)
    assert (found.floor_from, found.outcome) == ("control", "inconclusive")
    assert effect(1.05).floor_from == "interval"


def test_blocks_without_a_value_above_zero_are_left_out() -> None:
    odd = [*pairs(1.1), Pair(20, 0.0, 1.0), Pair(21, 1.0, 0.0)]
    assert len(compare(E2E, odd, level=0.05, margin=0.03).pairs) == 20


def test_too_few_blocks_say_nothing() -> None:
    found = compare(E2E, pairs(1.5, count=5), level=0.05, margin=0.03)
    assert (found.difference, found.outcome) == (None, "inconclusive")


def made(p: float | None, outcome: Outcome = "base better") -> Effect:
    return Effect(metric="e2e", pairs=tuple(pairs(1.1)), p=p, outcome=outcome)


def test_a_family_of_metrics_raises_the_bar_for_each() -> None:
    alone = adjust([made(0.04)], 0.05)
    assert [found.outcome for found in alone] == ["base better"]
    together = adjust([made(0.04), made(0.04), made(None, "inconclusive"), made(0.9, "equivalent")], 0.05)
    assert [found.outcome for found in together] == ["inconclusive", "inconclusive", "inconclusive", "equivalent"]
    assert [found.p_adjusted for found in together] == [pytest.approx(0.12), pytest.approx(0.12), None, 0.9]
    assert [found.blocks_needed for found in together] == [28, 28, None, None], "20 (2.394 / 2.054)^2 is 27.2"


def test_an_effect_can_be_written_and_read_as_json() -> None:
    found = effect(1.1)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Effect) == found
