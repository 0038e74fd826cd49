"""The statistics against independent formulas and figures, and the properties that they must have."""

import math
import random
import statistics
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routegen.bench.stats import (
    FEWEST,
    Interval,
    _counted,
    _largest_rank_sum,
    blocks_for,
    blocks_to_reach,
    blocks_to_settle,
    holm,
    interval,
    median,
    needed,
    quantile,
    reachable,
    spread,
)

finite = st.floats(min_value=-1e6, max_value=1e6, allow_nan=False)
samples = st.lists(finite, min_size=2, max_size=50)
blocks = st.lists(st.floats(min_value=-1, max_value=1), min_size=FEWEST, max_size=30)


def normal(size: int, seed: int, mean: float = 0.0) -> list[float]:
    draw = random.Random(seed)
    return [draw.gauss(mean, 1.0) for _ in range(size)]


@given(samples)
def test_quartiles_are_those_of_the_standard_library(values: list[float]) -> None:
    expected = statistics.quantiles(values, n=4, method="inclusive")
    assert [quantile(values, share) for share in (0.25, 0.5, 0.75)] == pytest.approx(expected, abs=1e-6)


@given(samples)
def test_the_median_is_that_of_the_standard_library(values: list[float]) -> None:
    assert median(values) == pytest.approx(statistics.median(values), abs=1e-6)


def test_a_quantile_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="no values"):
        quantile([], 0.5)


@pytest.mark.parametrize(("share", "size"), [(0.5, 5), (0.9, 29), (0.95, 59), (0.99, 299)])
def test_a_percentile_needs_as_many_values_as_the_published_tables_say(share: float, size: int) -> None:
    assert needed(share) == size
    exact = Fraction(share)
    assert 1 - exact**size >= Fraction(95, 100) > 1 - exact ** (size - 1)


@pytest.mark.parametrize(
    ("size", "rank_sum"),
    [(6, 0), (8, 3), (10, 8), (12, 13), (15, 25), (20, 52), (25, 89), (30, 137), (40, 264), (50, 434)],
)
def test_the_signed_ranks_are_those_of_the_published_tables(size: int, rank_sum: int) -> None:
    """Two sides, 5 % (McCornack, 1965; in every textbook of the field)."""
    assert _largest_rank_sum(size, 0.025) == rank_sum


def test_beyond_the_counted_sizes_the_normal_law_says_nearly_the_same() -> None:
    for level in (0.05, 0.04, 0.01, 0.001):
        exact = next(w for w in range(2000) if _counted(60)[w] > level / 2) - 1
        centre, error = 60 * 61 / 4, math.sqrt(60 * 61 * 121 / 24)
        normal = math.floor(centre + error * statistics.NormalDist().inv_cdf(level / 2) - 0.5)
        assert 0 <= exact - normal < 0.03 * exact, "and errs on the safe side"


@given(blocks)
def test_the_interval_is_what_counting_all_signs_says(values: list[float]) -> None:
    """By brute force: 0 lies inside just where the sum of signed ranks is no rare one among all 2**n."""
    few = values[:8]
    if len({abs(value) for value in few}) < len(few) or 0.0 in few:
        return  # ties have no ranks of their own
    found = interval(few, 0.1)
    assert found is not None
    size = len(few)
    mine = sum(rank for rank, value in enumerate(sorted(few, key=abs), 1) if value > 0)
    least = min(mine, size * (size + 1) // 2 - mine)
    sums = [sum(rank for rank in range(1, size + 1) if signs >> rank & 1) for signs in range(0, 2 ** (size + 1), 2)]
    p = min(1.0, 2 * sum(found <= least for found in sums) / len(sums))
    assert found.p == pytest.approx(p)
    assert (found.low <= 0 <= found.high) == (p > 0.1)


def test_one_disturbed_block_hardly_moves_the_result() -> None:
    values = normal(20, 1)
    quiet, loud = interval(values, 0.05), interval([*values[:-1], 50.0], 0.05)
    assert quiet is not None
    assert loud is not None
    assert abs(loud.estimate - quiet.estimate) < quiet.half
    assert loud.half < 2 * quiet.half


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """2000 samples of 20 normal values, and of 20 that are anything but: 95 % and four of that share's errors."""
    for wild in (False, True):
        draw = random.Random(5)
        covered = 0
        for _ in range(2000):
            noise = [draw.gauss(0, 1) for _ in range(20)]
            values = [0.7 + (math.copysign(math.exp(3 * abs(one)), one) if wild else one) for one in noise]
            found = interval(values, 0.05)
            assert found is not None
            covered += found.low <= 0.7 <= found.high
        assert abs(covered / 2000 - 0.95) <= 4 * math.sqrt(0.05 * 0.95 / 2000) + 0.002


def test_the_interval_is_about_as_wide_as_students() -> None:
    """t(19, 97.5 %) is 2.093."""
    widths, students = [], []
    for seed in range(100):
        values = normal(20, seed)
        found = interval(values, 0.05)
        assert found is not None
        widths.append(found.half)
        students.append(2.093 * statistics.stdev(values) / math.sqrt(20))
    assert 0.95 < statistics.fmean(widths) / statistics.fmean(students) < 1.1


@given(blocks)
def test_swapping_the_arms_mirrors_the_interval(values: list[float]) -> None:
    found, mirrored = interval(values, 0.05), interval([-value for value in values], 0.05)
    assert found is not None
    assert mirrored is not None
    assert (mirrored.low, mirrored.high, mirrored.p) == pytest.approx((-found.high, -found.low, found.p))
    assert mirrored.estimate == pytest.approx(-found.estimate, abs=1e-12)
    assert found.low <= found.estimate <= found.high


def test_too_few_blocks_have_no_interval() -> None:
    assert interval([0.1] * (FEWEST - 1), 0.05) is None
    assert interval([0.1] * FEWEST, 0.05) is not None
    assert interval([0.1] * FEWEST, 0.01) is None, "six signs alike are one chance in 32"


@pytest.mark.parametrize(("value", "p"), [(0.0, 1.0), (0.1, 2 / 2**20)])
def test_blocks_that_all_say_the_same_have_an_interval_of_no_width(value: float, p: float) -> None:
    found = interval([value] * 20, 0.05)
    assert found is not None
    assert [found.low, found.high, found.p] == pytest.approx([value, value, p])


def test_the_spread_is_the_deviation_of_normal_values_and_heeds_no_outlier_much() -> None:
    values = normal(400, 3)
    assert spread(values) == pytest.approx(1.0, abs=0.1)
    assert spread([*values, 100.0]) < 1.5
    assert statistics.stdev([*values, 100.0]) > 5


def test_equal_engines_are_called_equivalent_in_four_of_five_runs_at_the_reachable_margin() -> None:
    margin = reachable(1.0, 40, 0.05)
    fitting = 0
    for seed in range(400):
        found = interval(normal(40, seed), 0.05)
        assert found is not None
        fitting += -margin < found.low and found.high < margin
    assert 0.72 < fitting / 400 < 0.88
    assert blocks_for(1.0, margin, 0.05) in {40, 41}


def test_holm_is_the_worked_example() -> None:
    """Smallest of four times 4, next times 3, then 2 and 1, never below an earlier one."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(min_value=0, max_value=1), max_size=20))
def test_holm_never_lowers_a_p_value_nor_changes_the_order(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(p <= after <= 1 for p, after in zip(p_values, adjusted, strict=True))
    ranked = sorted(zip(p_values, adjusted, strict=True))
    assert [after for _, after in ranked] == sorted(after for _, after in ranked)


def test_a_wide_interval_needs_as_many_blocks_as_the_root_law_says() -> None:
    around_four = Interval(estimate=0.04, low=-0.04, high=0.12, p=0.3)
    assert blocks_to_settle(around_four, 20, margin=0.03, floor=0.01) == 80  # half width to a half: four times as many
    around_zero = Interval(estimate=0.0, low=-0.06, high=0.06, p=1.0)
    assert blocks_to_settle(around_zero, 20, margin=0.03, floor=0.01) == 80


def test_a_noise_floor_above_the_interval_counts_instead_of_it() -> None:
    clear = Interval(estimate=0.04, low=0.03, high=0.05, p=0.001)
    assert blocks_to_settle(clear, 20, margin=0.03, floor=0.08) == 80


def test_a_p_value_needs_as_many_blocks_as_its_distance_from_zero_says() -> None:
    """1.96 errors are wanted for 5 %: seen 0.98 of them, four times the blocks."""
    p = 2 * (1 - statistics.NormalDist().cdf(0.98))
    assert blocks_to_reach(0.05, p=p, adjusted=p, blocks=20) in {80, 81}
    assert blocks_to_reach(0.05, p=0.0501, adjusted=0.0501, blocks=20) == 21


def test_nobody_is_told_to_wait_for_ever() -> None:
    assert blocks_to_settle(Interval(0.03, 0.0, 0.06, 0.05), 20, margin=0.03, floor=0.0) is None, "on the margin"
    assert blocks_to_settle(Interval(0.028, -0.07, 0.126, 0.6), 20, margin=0.03, floor=0.0) is None, "48,000 blocks"
