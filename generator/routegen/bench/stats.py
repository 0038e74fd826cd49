"""The statistics of a comparison: pure functions over lists of numbers; the standard library suffices.

The unit is the block, not the request: requests of one block share the machine's mood, so they are not independent,
and an interval over requests would be far too narrow. docs/bench.md has the formulas and where they come from.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

RESAMPLES: Final = 2000
"""Of each bootstrap and each sign-flip draw."""

FEWEST: Final = 6
"""Blocks below which no interval is given: so few can't tell noise from difference at 95 %."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its bootstrap interval."""

    estimate: float
    low: float
    high: float
    p: float
    """Of the hypothesis that the mean is 0."""
    deviation: float
    """The sample's standard deviation."""

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


def interval(values: Sequence[float], confidence: float, seed: int, resamples: int = RESAMPLES) -> Interval | None:
    """The mean of ``values`` with a symmetric bootstrap-t interval; ``None`` below :data:`FEWEST` values.

    Resamples are studentised by their own deviation, which keeps the interval honest at 20 values, where the plain
    percentile bootstrap is too narrow (Hall, "On symmetric bootstrap confidence intervals", 1988).
    """
    size = len(values)
    if size < FEWEST:
        return None
    estimate, deviation = _moments(values)
    if deviation == 0:
        return Interval(estimate, estimate, estimate, 1.0 if estimate == 0 else 0.0, 0.0)
    draw = random.Random(seed)  # noqa: S311 - repeatable on purpose
    root = math.sqrt(size)
    distances: list[float] = []
    while len(distances) < resamples:
        mean, spread = _moments(draw.choices(values, k=size))
        if spread > 0:
            distances.append(abs(mean - estimate) * root / spread)
    reach = quantile(distances, confidence) * deviation / root
    seen = abs(estimate) * root / deviation
    p = (1 + sum(distance >= seen for distance in distances)) / (1 + resamples)
    return Interval(estimate, estimate - reach, estimate + reach, p, deviation)


def noise_floor(values: Sequence[float], confidence: float, seed: int, resamples: int = RESAMPLES) -> float | None:
    """What this design would show between identical arms by chance; ``None`` below :data:`FEWEST` values.

    Identical arms could swap their names in any block, which flips the sign of that block's difference. This is the
    ``confidence`` quantile of the absolute mean over random flips of the centred differences.
    """
    size = len(values)
    if size < FEWEST:
        return None
    centre = sum(values) / size
    centred = [value - centre for value in values]
    draw = random.Random(seed)  # noqa: S311 - repeatable on purpose
    means: list[float] = []
    for _ in range(resamples):
        signs = draw.getrandbits(size)
        means.append(abs(sum(value if signs >> index & 1 else -value for index, value in enumerate(centred))) / size)
    return quantile(means, confidence)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p values, in the given order (Holm, 1979): each can be held against the wanted level itself."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    raised = (min(1.0, p_values[index] * (len(order) - rank)) for rank, index in enumerate(order))
    adjusted = dict(zip(order, accumulate(raised, max), strict=True))
    return [adjusted[index] for index in range(len(p_values))]


def blocks_to_settle(found: Interval, blocks: int, margin: float) -> int:
    """About how many blocks more would end in a verdict, if the blocks to come are like those measured.

    The interval shrinks with the root of the number of blocks. It settles the question once it leaves zero out (half
    width below the estimate) or fits inside the margin (half width below what is left of it), whichever comes first.
    """
    target = max(abs(found.estimate), margin - abs(found.estimate))
    if found.half == 0 or target <= 0:
        return 0
    total = math.ceil(blocks * (found.half / target) ** 2)
    more = max(total - blocks, 2)
    return more + more % 2


def _moments(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation; 0 for the latter where all values are the same."""
    size = len(values)
    mean = sum(values) / size
    squares = sum((value - mean) * (value - mean) for value in values)
    return mean, math.sqrt(squares / (size - 1)) if squares > 1e-18 * size * mean * mean else 0.0
