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
    blocks_to_reach,
    blocks_to_settle,
    holm,
    interval,
    median,
    needed,
    noise_floor,
    quantile,
    trimmed,
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


def test_the_trimmed_mean_and_its_error_are_those_worked_out_by_hand() -> None:
    values = [float(value) for value in (1, 2, 3, 4, 5, 6, 7, 8, 9, 100)]
    mean, error = trimmed(values)
    assert mean == 5.5  # 2..9
    pulled = [2, 2, 3, 4, 5, 6, 7, 8, 9, 9]
    assert error == pytest.approx(statistics.stdev(pulled) / (0.8 * math.sqrt(10)))


@given(blocks)
def test_below_ten_values_the_trimmed_mean_is_the_mean(values: list[float]) -> None:
    few = values[:9]
    mean, error = trimmed(few)
    assert mean == pytest.approx(statistics.fmean(few), abs=1e-9)
    assert error == pytest.approx(statistics.stdev(few) / math.sqrt(len(few)), abs=1e-7)


def test_one_disturbed_block_hardly_moves_the_result() -> None:
    values = normal(20, 1)
    disturbed = [*values[:-1], 50.0]
    quiet, loud = interval(values, 0.95, 1), interval(disturbed, 0.95, 1)
    assert quiet is not None
    assert loud is not None
    assert abs(loud.estimate - quiet.estimate) < quiet.half
    assert loud.half < 2 * quiet.half


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """400 samples of 20 normal values: 95 % and four standard errors of that share."""
    found = [interval(normal(20, seed, mean=0.7), 0.95, seed, resamples=400) for seed in range(400)]
    covered = sum(one is not None and one.low <= 0.7 <= one.high for one in found) / len(found)
    assert 0.95 - 4 * math.sqrt(0.05 * 0.95 / 400) <= covered


def test_the_interval_is_about_as_wide_as_students() -> None:
    """t(19, 97.5 %) is 2.093; trimming and studentising cost some more."""
    widths, students = [], []
    for seed in range(100):
        values = normal(20, seed)
        found = interval(values, 0.95, seed, resamples=500)
        assert found is not None
        widths.append(found.half)
        students.append(2.093 * statistics.stdev(values) / math.sqrt(20))
    assert 0.95 < statistics.fmean(widths) / statistics.fmean(students) < 1.25


@pytest.mark.parametrize("seed", range(10))
def test_swapping_the_arms_mirrors_the_interval(seed: int) -> None:
    values = normal(20, seed)
    found, mirrored = interval(values, 0.95, seed, 200), interval([-value for value in values], 0.95, seed, 200)
    assert found is not None
    assert mirrored is not None
    assert mirrored.estimate == pytest.approx(-found.estimate, abs=1e-9)
    assert mirrored.high == pytest.approx(-found.low, abs=1e-6)
    assert mirrored.p == pytest.approx(found.p, abs=0.001)


def test_the_p_value_and_the_interval_say_the_same() -> None:
    for seed in range(100):
        found = interval(normal(20, seed, mean=0.4), 0.95, seed, resamples=400)
        assert found is not None
        if abs(found.p - 0.05) > 0.01:
            assert (found.p < 0.05) == (found.low > 0 or found.high < 0)


def test_too_few_blocks_have_no_interval_and_no_floor() -> None:
    assert interval([0.1] * (FEWEST - 1), 0.95, 1) is None
    assert noise_floor([0.1] * (FEWEST - 1), 0.95, 1) is None


@pytest.mark.parametrize(("value", "p"), [(0.0, 1.0), (0.1, 0.0)])
def test_blocks_that_all_say_the_same_have_an_interval_of_no_width(value: float, p: float) -> None:
    found = interval([value] * 20, 0.95, 1)
    assert found is not None
    assert [found.low, found.high, found.p] == pytest.approx([value, value, p])


def test_the_noise_floor_is_what_the_spread_allows_whatever_the_difference() -> None:
    values = normal(20, 3)
    floor, shifted = noise_floor(values, 0.95, 1), noise_floor([value + 5 for value in values], 0.95, 1)
    assert floor is not None
    assert shifted == pytest.approx(floor)
    assert 0.7 < floor / (1.96 * statistics.stdev(values) / math.sqrt(20)) < 1.3


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


def test_a_wide_interval_needs_as_many_blocks_more_as_the_root_law_says() -> None:
    around_four = Interval(estimate=0.04, low=-0.04, high=0.12, p=0.3)
    assert blocks_to_settle(around_four, 20, margin=0.03, floor=0.01) == 60  # half width to a half: four times as many
    around_zero = Interval(estimate=0.0, low=-0.06, high=0.06, p=1.0)
    assert blocks_to_settle(around_zero, 20, margin=0.03, floor=0.01) == 60


def test_a_noise_floor_above_the_interval_counts_instead_of_it() -> None:
    clear = Interval(estimate=0.04, low=0.03, high=0.05, p=0.001)
    assert blocks_to_settle(clear, 20, margin=0.03, floor=0.08) == 60


def test_a_p_value_needs_as_many_blocks_more_as_its_distance_from_zero_says() -> None:
    """1.96 errors are wanted for 5 %: seen 0.98 of them, four times the blocks."""
    p = 2 * (1 - statistics.NormalDist().cdf(0.98))
    assert blocks_to_reach(0.05, p=p, adjusted=p, blocks=20) in {60, 62}
    assert blocks_to_reach(0.05, p=0.0501, adjusted=0.0501, blocks=20) == 2
    assert blocks_to_reach(0.05, p=0.01, adjusted=0.08, blocks=20) > blocks_to_reach(
        0.05, p=0.01, adjusted=0.06, blocks=20
    )


def test_an_estimate_on_the_margin_is_never_settled() -> None:
    assert blocks_to_settle(Interval(0.03, 0.0, 0.06, 0.05), 20, margin=0.03, floor=0.0) is None
