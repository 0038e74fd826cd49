"""Machines whose speed wanders, written down: what docs/bench-accuracy.md is simulated on.

A *part* is one arm's share of a block. Every machine gives the logarithm of its slowness, a row a run and a column a
part, in the order in which parts are run; what is added to it is the same for both arms. Requests then differ by noise
of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from routegen.bench.setup import WARMUP_BLOCKS

LONGEST: Final = 200
"""Blocks of the longest simulated run."""

FAILED: Final = 300.0
"""What a failed request counts as, beside a median of 1: the whole timeout."""

Floats = NDArray[np.float64]
Mood = Callable[[np.random.Generator, int, int], Floats]
"""Of a generator, a number of runs and a number of parts: each part's mood."""


def quiet(_: np.random.Generator, runs: int, parts: int) -> Floats:
    """Nothing but the requests' own noise."""
    return np.zeros((runs, parts))


def walk(step: float) -> Mood:
    """A random walk, one step a part."""
    return lambda draw, runs, parts: np.cumsum(draw.normal(0, step, (runs, parts)), axis=1)


def memory(draw: np.random.Generator, runs: int, parts: int) -> Floats:
    """AR(1): each part keeps nine tenths of the one before, and adds 4 %."""
    steps = draw.normal(0, 0.04, (runs, parts))
    found = np.empty_like(steps)
    found[:, 0] = draw.normal(0, 0.04 / math.sqrt(1 - 0.9**2), runs)
    for part in range(1, parts):
        found[:, part] = 0.9 * found[:, part - 1] + steps[:, part]
    return found


def square(period: float) -> Mood:
    """A neighbour that works half of every ``period`` parts, and costs 15 % then; it starts anywhere."""
    return lambda draw, runs, parts: np.where(_phase(draw, runs, parts, period) < 0.5, 0.15, 0.0)  # noqa: PLR2004 - half


def sine(period: float) -> Mood:
    """A load that swells and falls by 10 % every ``period`` parts."""
    return lambda draw, runs, parts: 0.1 * np.sin(2 * np.pi * _phase(draw, runs, parts, period))


def _phase(draw: np.random.Generator, runs: int, parts: int, period: float) -> Floats:
    found: Floats = ((np.arange(parts) + draw.uniform(0, period, (runs, 1))) / period) % 1.0
    return found


def step(_: np.random.Generator, runs: int, parts: int) -> Floats:
    """A third slower from half way on."""
    return np.broadcast_to(np.where(np.arange(parts) < parts / 2, 0.0, 0.3), (runs, parts))


def outliers(draw: np.random.Generator, runs: int, parts: int) -> Floats:
    """One part in twenty takes ten times as long."""
    return np.where(draw.random((runs, parts)) < 0.05, math.log(10), 0.0)  # noqa: PLR2004 - one in twenty


def moods(deviation: float) -> Mood:
    """Every part has a mood of its own, which all of its requests share."""
    return lambda draw, runs, parts: draw.normal(0, deviation, (runs, parts))


def fading(first: float, share: float, start: int = 0) -> tuple[float, ...]:
    """How much slower an arm is in each block from ``start`` on: ``first``, then ``share`` of the block before."""
    return tuple(first * share**block for block in range(start, LONGEST))


@dataclass(frozen=True, slots=True)
class Machine:
    """One row."""

    name: str
    mood: Mood = quiet
    noise: float = 0.15
    """Of each request's logarithm, on its own."""
    rounds: float = 0.0
    """Of each round of eight requests, which an engine answers in step."""
    requests: int = 16
    """Per arm and block."""
    warming: tuple[float, ...] = ()
    """How much slower one arm is in its first blocks."""
    lengths: float = 0.0
    """Of the prompts' logarithms: both arms get the same ones."""
    failing: tuple[float, float] = (0.0, 0.0)
    """The share of each arm's requests that fail."""

    def runs(self, draw: np.random.Generator, runs: int, blocks: int, truth: float) -> tuple[Floats, NDArray[np.bool_]]:
        """Whole runs of two arms, the second slower by ``truth``, in an order drawn for each block.

        :returns: how long each request took (a logarithm), and which failed, both as runs x blocks x arm x prompt.
        """
        count = 2 * blocks
        each = draw.normal(0, self.noise, (runs, count, self.requests))
        if self.rounds:
            each += np.repeat(draw.normal(0, self.rounds, (runs, count, -(-self.requests // 8))), 8, axis=2)[
                :, :, : self.requests
            ]
        each += self.mood(draw, runs, count)[:, :, None]
        each = each.reshape(runs, blocks, 2, self.requests)
        swapped = draw.random((runs, blocks)) < 0.5  # noqa: PLR2004 - a fair coin
        each[swapped] = each[swapped][:, ::-1]
        warming = np.log1p(self.warming[:blocks])
        each[:, : len(warming), 1] += warming[:, None]
        each[:, :, 1] += math.log1p(truth)
        each += draw.normal(0, self.lengths, (runs, blocks, 1, self.requests))
        failed = draw.random(each.shape) < np.array(self.failing)[:, None]
        each[failed] = math.log(FAILED)
        return each, failed


MACHINES: Final = (
    Machine("quiet"),
    Machine("random walk, 3 % a part", walk(0.03)),
    Machine("random walk, 10 % a part", walk(0.1)),
    Machine("AR(1), 0.9, 4 % a part", memory),
    *(Machine(f"neighbour, square, every {period} parts", square(period)) for period in (2.5, 3.0, 3.5, 4.1, 5.0, 7.0)),
    *(Machine(f"neighbour, sine, every {period} parts", sine(period)) for period in (2.5, 3.0, 4.1, 7.0)),
    Machine("a third slower from half way on", step),
    Machine("lognormal requests, sigma 1", noise=1.0),
    Machine("one part in 20 ten times slower", outliers),
    Machine("correlated within parts, 5 %", moods(0.05)),
    Machine("4 requests a block", requests=4),
    Machine("one arm fails 0.2 %, the other 0.6 %", failing=(0.002, 0.006)),
    Machine("one arm warms up, a third less each block", warming=fading(0.3, 2 / 3, WARMUP_BLOCKS)),
    Machine("fitted to two real engines", moods(0.095), noise=0.02, rounds=0.145),
)
"""The last has the variances of a run of two engines on two GPUs: the part's own mood 9.5 %, a round's 14.5 %, a
request's 2 % (lag correlations of rounds within a part 0.43, 0.30, 0.26, across parts 0.06)."""

STILL_WARMING: Final = (
    Machine("20, then 10 % slower for two blocks", warming=(0.2, 0.1)),
    Machine("30, 20 and 10 % slower for three blocks", warming=(0.3, 0.2, 0.1)),
    Machine("30 % slower, a fifth less each block", warming=fading(0.3, 0.8)),
    Machine("30 % slower, a tenth less each block", warming=fading(0.3, 0.9)),
    Machine("10 % slower, a twentieth less each block", warming=fading(0.1, 0.95)),
)
"""Arms that go on warming up when the warm-up is over."""

LENGTHS: Final = tuple(
    Machine(name, mood, noise=0.15, lengths=lengths)
    for name, mood in (("quiet", quiet), ("random walk, 3 % a part", walk(0.03)))
    for lengths in (0.0, 0.5, 1.0)
)
"""Prompts whose lengths differ: e to the power of a normal value with that deviation."""
