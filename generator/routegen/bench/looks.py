"""When a run's result may be looked at, and how much each look may err: looking again is planned, or not done. Pure.

Whoever looks after every few blocks and stops when it pleases finds a difference in the end where there is none. So the
looks are fixed before the first request, and share the error that one look would have alone (group-sequential bounds
with an error-spending function: Lan and DeMets, "Discrete sequential boundaries for clinical trials", 1983; the
integrals are those of Armitage, McPherson and Rowe, 1969). What is spent by a share t of the blocks is t squared of the
whole (Kim and DeMets, 1987): early looks catch what is plain, and the last is nearly as good as a single one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from operator import mul
from statistics import NormalDist
from typing import Final, NamedTuple

from .design import Design

LEAST_BLOCKS: Final = 20
"""Blocks that the first look needs."""

_GROWTH: Final = math.sqrt(2)
"""From one look to the next: closer ones would spend more than they tell."""
_POWER: Final = 2
_POINTS: Final = 201
"""Of each integral; an odd number, for Simpson's rule."""
_NORMAL: Final = NormalDist()


class Look(NamedTuple):
    """One look."""

    blocks: int
    """At so many."""
    level: float
    """The share of looks that may call equal arms different, were this one alone."""


def spaced(most: int) -> tuple[int, ...]:
    """The numbers of blocks to look at, up to ``most``."""
    found, at = [], float(LEAST_BLOCKS)
    while round(at) < most:
        found.append(round(at))
        at *= _GROWTH
    return (*found, most)


def looks(design: Design) -> tuple[Look, ...]:
    """Every look of a run: the planned ones, or one at its end."""
    blocks = design.looks or (design.blocks,)
    return tuple(map(Look, blocks, levels(blocks, 1 - design.confidence)))


def reached(design: Design, done: frozenset[int]) -> Look | None:
    """The last look whose blocks are all measured; ``None`` before the first, or where no look can have a verdict."""
    whole = next(number for number in range(len(done) + 1) if number not in done)
    return next((look for look in reversed(looks(design)) if LEAST_BLOCKS <= look.blocks <= whole), None)


@cache
def levels(blocks: tuple[int, ...], level: float) -> tuple[float, ...]:
    """The level of each look, so that all of them together err as often as ``level`` says."""
    times = [count / blocks[-1] for count in blocks]
    spent = [level * time**_POWER for time in times]
    shares = [spent[0], *(later - earlier for earlier, later in pairwise(spent))]
    bound = -_NORMAL.inv_cdf(shares[0] / 2) * math.sqrt(times[0])
    sums, density = _grid(bound), [NormalDist(0, math.sqrt(times[0])).pdf(at) for at in _grid(bound)]
    bounds = [bound]
    for (before, now), share in zip(pairwise(times), shares[1:], strict=True):
        step = NormalDist(0, math.sqrt(now - before))
        bound = _bound(sums, density, step, share)
        bounds.append(bound)
        weights = _weights(sums, density)
        later = _grid(bound)
        density = [sum(map(mul, weights, [step.pdf(at - come) for come in sums])) for at in later]
        sums = later
    return tuple(2 * _NORMAL.cdf(-bound / math.sqrt(time)) for bound, time in zip(bounds, times, strict=True))


def _bound(sums: Sequence[float], density: Sequence[float], step: NormalDist, share: float) -> float:
    """Where to stop so that ``share`` of all runs leave at this look; by halving."""
    weights = _weights(sums, density)
    low, high = 0.0, 12.0
    for _ in range(50):
        middle = (low + high) / 2
        leaving = 2 * sum(weight * step.cdf(come - middle) for come, weight in zip(sums, weights, strict=True))
        low, high = (middle, high) if leaving > share else (low, middle)
    return high


def _grid(bound: float) -> list[float]:
    return [bound * (2 * index / (_POINTS - 1) - 1) for index in range(_POINTS)]


def _weights(sums: Sequence[float], density: Sequence[float]) -> list[float]:
    """Simpson's, times the density."""
    third = (sums[1] - sums[0]) / 3
    inner = [4 if index % 2 else 2 for index in range(1, _POINTS - 1)]
    return [third * factor * height for factor, height in zip([1, *inner, 1], density, strict=True)]
