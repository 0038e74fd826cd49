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
from statistics import NormalDist
from typing import Final

RESAMPLES: Final = 2000
"""Of each bootstrap and each sign-flip draw."""

FEWEST: Final = 6
"""Blocks below which no interval is given: so few can't tell noise from difference at 95 %."""


TRIM: Final = 0.1
"""Share of the values left out at each end of a mean: one disturbed block in ten can't decide a comparison."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A trimmed mean with its bootstrap interval."""

    estimate: float
    low: float
    high: float
    p: float
    """Of the hypothesis that the mean is 0."""

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
    """The trimmed mean of ``values`` with a symmetric bootstrap-t interval; ``None`` below :data:`FEWEST` values.

    Resamples are studentised by their own error, which keeps the interval honest at 20 values, where the plain
    percentile bootstrap is too narrow (Hall, "On symmetric bootstrap confidence intervals", 1988; for trimmed means:
    Wilcox, "Introduction to Robust Estimation and Hypothesis Testing", section 4.4).
    """
    if len(values) < FEWEST:
        return None
    estimate, error = trimmed(values)
    if error == 0:
        return Interval(estimate, estimate, estimate, 1.0 if estimate == 0 else 0.0)
    draw = random.Random(seed)  # noqa: S311 - repeatable on purpose
    distances: list[float] = []
    while len(distances) < resamples:
        mean, spread = trimmed(draw.choices(values, k=len(values)))
        if spread > 0:
            distances.append(abs(mean - estimate) / spread)
    reach = quantile(distances, confidence) * error
    p = (1 + sum(distance >= abs(estimate) / error for distance in distances)) / (1 + resamples)
    return Interval(estimate, estimate - reach, estimate + reach, p)


def noise_floor(values: Sequence[float], confidence: float, seed: int, resamples: int = RESAMPLES) -> float | None:
    """What this design would show between identical arms by chance; ``None`` below :data:`FEWEST` values.

    Identical arms could swap their names in any block, which flips the sign of that block's difference. This is the
    ``confidence`` quantile of the absolute trimmed mean over random flips of the centred differences.
    """
    size = len(values)
    if size < FEWEST:
        return None
    centre = _trimmed_mean(sorted(values))
    centred = [value - centre for value in values]
    draw = random.Random(seed)  # noqa: S311 - repeatable on purpose
    means: list[float] = []
    for _ in range(resamples):
        signs = draw.getrandbits(size)
        flipped = [value if signs >> index & 1 else -value for index, value in enumerate(centred)]
        means.append(abs(_trimmed_mean(sorted(flipped))))
    return quantile(means, confidence)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p values, in the given order (Holm, 1979): each can be held against the wanted level itself."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    raised = (min(1.0, p_values[index] * (len(order) - rank)) for rank, index in enumerate(order))
    adjusted = dict(zip(order, accumulate(raised, max), strict=True))
    return [adjusted[index] for index in range(len(p_values))]


def blocks_to_settle(found: Interval, blocks: int, *, margin: float, floor: float) -> int | None:
    """About how many blocks more would end in a verdict, if the blocks to come are like those measured.

    Interval and noise floor shrink with the root of the number of blocks. An estimate outside the margin is settled
    once both are below it, one inside once the interval fits into what it leaves of the margin. ``None``: never, for
    the estimate lies on the margin.
    """
    size = abs(found.estimate)
    reach, target = (max(found.half, floor), size) if size > margin else (found.half, margin - size)
    if target <= 0:
        return None
    return _more(blocks, (reach / target) ** 2)


def blocks_to_reach(level: float, *, p: float, adjusted: float, blocks: int) -> int:
    """About how many blocks more would bring a p value, adjusted for others, down to ``level``.

    The distance from zero, counted in errors, grows with the root of the number of blocks.
    """
    distance = NormalDist().inv_cdf
    return _more(blocks, (distance(1 - level * p / adjusted / 2) / distance(1 - p / 2)) ** 2)


def trimmed(values: Sequence[float]) -> tuple[float, float]:
    """The trimmed mean and its standard error, from the winsorised deviation (Tukey and McLaughlin, 1963)."""
    size, cut = len(values), int(TRIM * len(values))
    ordered = sorted(values)
    mean = _trimmed_mean(ordered)
    ordered[:cut] = [ordered[cut]] * cut
    ordered[size - cut :] = [ordered[size - cut - 1]] * cut
    centre = sum(ordered) / size
    squares = sum([(value - centre) ** 2 for value in ordered])
    if squares <= 1e-18 * size * centre * centre:  # all the same, but for rounding
        return mean, 0.0
    return mean, math.sqrt(squares / (size - 1) / size) * size / (size - 2 * cut)


def _more(blocks: int, times: float) -> int:
    """The blocks that are missing to ``times`` as many: an even number, as they come in pairs, and two at least."""
    more = max(math.ceil(blocks * times) - blocks, 2)
    return more + more % 2


def _trimmed_mean(ordered: Sequence[float]) -> float:
    cut = int(TRIM * len(ordered))
    return sum(ordered[cut : len(ordered) - cut]) / (len(ordered) - 2 * cut)
