"""The statistics of a comparison: pure functions over lists of numbers; the standard library suffices.

The unit is the block, not the request: requests of one block share the machine's mood, so they are not independent,
and an interval over requests would be far too narrow. docs/bench.md has the formulas and where they come from.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from statistics import NormalDist
from typing import Final

FEWEST: Final = 6
"""Blocks below which no interval is given: so few can't tell noise from difference at 96 %."""

MOST: Final = 2000
"""Blocks in all beyond which nobody is told to wait for."""

_EXACT: Final = 100
"""Up to so many values the signed ranks' distribution is counted out; beyond, the normal law says a little less."""

_EFFICIENCY: Final = 3 / math.pi
"""Of the Hodges-Lehmann estimate beside the mean, where values are normal: 95.5 %."""


@dataclass(frozen=True, slots=True)
class Interval:
    """The centre of symmetric values, with its interval."""

    estimate: float
    low: float
    high: float
    p: float
    """Of the hypothesis that the centre is 0."""

    @property
    def half(self) -> float:
        """Half of its width."""
        return (self.high - self.low) / 2


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` of the sample lies, interpolated (Hyndman and Fan's type 7).

    :raises ValueError: no values.
    """
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    lower = math.floor(place)
    upper = min(lower + 1, len(ordered) - 1)
    return ordered[lower] + (ordered[upper] - ordered[lower]) * (place - lower)


def median(values: Sequence[float]) -> float:
    """The middle value.

    :raises ValueError: no values.
    """
    return quantile(values, 0.5)


def needed(share: float, confidence: float = 0.95) -> int:
    """How many values a percentile needs before the sample says anything about it.

    With ``n`` values the largest is an upper bound of the percentile with probability ``1 - share**n``, whatever the
    distribution; this is the least ``n`` for which that reaches ``confidence``: 59 for p95, 299 for p99.
    """
    return math.ceil(math.log(1 - confidence) / math.log(share))


def interval(values: Sequence[float], level: float) -> Interval | None:
    """The Hodges-Lehmann estimate with the interval of Wilcoxon's signed ranks; ``None``: too few values say nothing.

    Where a coin gives the order of two identical arms in every block, each difference is as likely to have the other
    sign, whatever the machine did meanwhile. The interval assumes nothing else, so it holds for every drift, rhythm and
    outlier, and for any number of values (Hollander, Wolfe and Chicken, "Nonparametric Statistical Methods", 3.1 to
    3.3). Its ends are order statistics of the means of all pairs of values, each value paired with itself too.

    :param level: the share of intervals that may miss, both sides together.
    """
    size = len(values)
    if size < FEWEST:
        return None
    cut = _largest_rank_sum(size, level / 2)
    if cut is None:
        return None
    means = _means(values)
    return Interval(median(means), means[cut], means[-1 - cut], _chance(means, size))


def signed_ranks(values: Sequence[float]) -> float:
    """The p value of the hypothesis that symmetric values have their centre at 0 (Wilcoxon's signed ranks)."""
    return _chance(_means(values), len(values))


def _means(values: Sequence[float]) -> list[float]:
    """Of all pairs of values, each value paired with itself too."""
    return sorted([(one + two) / 2 for index, one in enumerate(values) for two in values[index:]])


def _chance(means: Sequence[float], size: int) -> float:
    below, above = sum(mean <= 0 for mean in means), sum(mean >= 0 for mean in means)
    return min(1.0, 2 * _below(size, min(below, above)))


def spread(values: Sequence[float]) -> float:
    """The standard deviation that normal values with this mean distance from their median would have."""
    centre = median(values)
    return math.sqrt(math.pi / 2) * sum(abs(value - centre) for value in values) / max(len(values) - 1, 1)


def reachable(deviation: float, blocks: int, level: float) -> float:
    """The least margin at which equal arms would be called equivalent in 4 of 5 runs of so many blocks."""
    return _distance(level) * deviation / math.sqrt(blocks * _EFFICIENCY)


def blocks_for(deviation: float, margin: float, level: float) -> int:
    """The blocks that :func:`reachable` needs for ``margin`` (both as log-ratios)."""
    return math.ceil((_distance(level) * deviation / margin) ** 2 / _EFFICIENCY)


def _distance(level: float) -> float:
    """In standard errors: an interval's half, and what the estimate may be off, on either side, in 4 of 5 runs."""
    inverse = NormalDist().inv_cdf
    return inverse(1 - level / 2) + inverse(0.9)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p values, in the given order (Holm, 1979): each can be held against the wanted level itself."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    raised = (min(1.0, p_values[index] * (len(order) - rank)) for rank, index in enumerate(order))
    adjusted = dict(zip(order, accumulate(raised, max), strict=True))
    return [adjusted[index] for index in range(len(p_values))]


def blocks_to_settle(found: Interval, blocks: int, *, margin: float, floor: float) -> int | None:
    """About how many blocks in all would end in a verdict, if the blocks to come are like those measured.

    Interval and noise floor shrink with the root of the number of blocks. An estimate outside the margin is settled
    once both are below it, one inside once the interval fits into what it leaves of the margin. ``None``: not within
    :data:`MOST`.
    """
    size = abs(found.estimate)
    reach, target = (max(found.half, floor), size) if size > margin else (found.half, margin - size)
    return _in_all(blocks, (reach / target) ** 2) if target > 0 else None


def blocks_to_reach(level: float, *, p: float, adjusted: float, blocks: int) -> int | None:
    """About how many blocks in all would bring a p value, adjusted for others, down to ``level``.

    The distance from zero, counted in errors, grows with the root of the number of blocks.
    """
    distance = NormalDist().inv_cdf
    return _in_all(blocks, (distance(1 - level * p / adjusted / 2) / distance(1 - p / 2)) ** 2)


def _in_all(blocks: int, times: float) -> int | None:
    wanted = max(blocks * times, blocks + 1.0)
    return math.ceil(wanted) if wanted <= MOST else None


@cache
def _counted(size: int) -> tuple[float, ...]:
    """``P(W <= w)`` for every w, of the sum W of the ranks 1 to ``size`` that a fair coin picks."""
    ways = [1]
    for rank in range(1, size + 1):
        longer = ways + [0] * rank
        for total, count in enumerate(ways):
            longer[total + rank] += count
        ways = longer
    return tuple(count / 2**size for count in accumulate(ways))


def _below(size: int, rank_sum: int) -> float:
    """``P(W <= rank_sum)``."""
    if size <= _EXACT:
        return _counted(size)[rank_sum]
    centre, error = _moments(size)
    return NormalDist(centre, error).cdf(rank_sum + 0.5)


def _largest_rank_sum(size: int, tail: float) -> int | None:
    """The largest w with ``P(W <= w)`` not above ``tail``; ``None`` where even 0 is too probable."""
    if size <= _EXACT:
        found = bisect_right(_counted(size), tail) - 1
    else:
        centre, error = _moments(size)
        found = math.floor(centre + error * NormalDist().inv_cdf(tail) - 0.5)
    return found if found >= 0 else None


def _moments(size: int) -> tuple[float, float]:
    return size * (size + 1) / 4, math.sqrt(size * (size + 1) * (2 * size + 1) / 24)
