"""A sweep turned into a curve: what each engine gives and takes at each load, and where it gives no more. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice
from typing import Final

import msgspec

from .analysis import Analysis, analyse, cells_of
from .metrics import BY_KEY, Cell, Metric
from .records import Recorded
from .stats import interval, median
from .sweep import Kind, Swept

SHOWN: Final = ("steady_token_rate", "token_rate", "request_rate", "ttft", "tpot", "e2e", "goodput", "errors")
"""The metrics of a point; the primary one too."""

GAIN: Final = 0.05
"""An engine is saturated where no higher load brings more than this share of throughput beyond."""


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of one arm at one load."""

    value: float
    """The centre of the blocks' values."""
    low: float | None = None
    """Its interval over the blocks of this step, as ``high``; ``None`` below six blocks, and where a block's is 0."""
    high: float | None = None


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One arm at one load."""

    arm: str
    load: float
    """Requests at once, or requests a second."""
    trustworthy: bool
    """No check of this step failed."""
    figures: dict[str, Estimate]
    """Metric -> estimate, of those that the arm has."""
    tokens: float | None = None
    """Median of an answer's tokens."""


class Saturation(msgspec.Struct, frozen=True, kw_only=True):
    """Where an arm gives no more."""

    arm: str
    load: float | None
    """The least load from which on it gave no more; ``None``: at no load of the sweep, or nothing can be said."""
    throughput: Estimate | None
    """There, or at the highest load: tokens a second."""
    highest: float | None
    """The highest load whose figures can be trusted."""
    known: bool
    """Whether its throughput is known, and can be trusted, at two loads at least."""


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a sweep's report shows."""

    kind: Kind
    loads: tuple[float, ...]
    steps: tuple[Analysis, ...]
    """One for each load."""
    points: tuple[Point, ...]
    """By load, then in the order of the arms."""
    saturations: tuple[Saturation, ...]
    """One for each arm."""

    def of(self, arm: str) -> list[Point]:
        """An arm's points, the load rising."""
        return [point for point in self.points if point.arm == arm]

    @property
    def arms(self) -> tuple[str, ...]:
        """Their names, in the order of the run."""
        return tuple(arm.name for arm in self.steps[0].run.arms)

    @property
    def primary(self) -> str:
        """The metric that the verdicts are about."""
        return self.steps[0].run.design.primary


def curve(swept: Swept) -> Curve:
    """The curve of ``swept``."""
    steps = tuple(analyse(step) for step in swept.steps)
    points = tuple(
        point
        for load, recorded, analysis in zip(swept.sweep.loads, swept.steps, steps, strict=True)
        for point in _points(load, recorded, trustworthy=analysis.valid)
    )
    names = [arm.name for arm in swept.steps[0].run.arms]
    return Curve(
        kind=swept.sweep.kind,
        loads=swept.sweep.loads,
        steps=steps,
        points=points,
        saturations=tuple(
            saturation(name, swept.sweep.kind, [point for point in points if point.arm == name]) for name in names
        ),
    )


def throughput(point: Point) -> Estimate | None:
    """Tokens a second at one point: the steady ones where they are known."""
    return point.figures.get("steady_token_rate") or point.figures.get("token_rate")


def saturation(arm: str, kind: Kind, points: Sequence[Point]) -> Saturation:
    """Where an arm gives no more.

    Closed loop: the least load such that no higher one brings more than :data:`GAIN` beyond its throughput. Open loop:
    the least rate that it provably doesn't answer: the interval of its tokens a second, while requests come in, lies
    below the rate times an answer's tokens by more than :data:`GAIN`. Loads at which a check failed tell nothing.
    """
    known = [(point, found) for point in points if point.trustworthy and (found := throughput(point)) is not None]
    if not known:
        return Saturation(arm=arm, load=None, throughput=None, highest=None, known=False)
    highest, last = known[-1][0].load, known[-1][1]
    for index, (point, found) in enumerate(known):
        if kind == "rate":
            full = _falls_behind(point)
        else:
            later = [beyond.value for _, beyond in islice(known, index + 1, None)]
            full = bool(later) and max(later) <= (1 + GAIN) * found.value
        if full:
            return Saturation(arm=arm, load=point.load, throughput=found, highest=highest, known=True)
    return Saturation(arm=arm, load=None, throughput=last, highest=highest, known=len(known) > 1)


def _falls_behind(point: Point) -> bool:
    steady = point.figures.get("steady_token_rate")
    if steady is None or steady.high is None or not point.tokens:
        return False
    return steady.high < (1 - GAIN) * point.load * point.tokens


def _points(load: float, recorded: Recorded, *, trustworthy: bool) -> list[Point]:
    cells = cells_of(recorded)
    design = recorded.run.design
    keys = dict.fromkeys((*SHOWN, design.primary))
    found = []
    for arm in recorded.run.arms:
        own = list(cells.get(arm.name, {}).values())
        figures = {key: told for key in keys if (told := _estimate(BY_KEY[key], own, 1 - design.confidence))}
        counts = [
            request.completion_tokens for cell in own for request in cell.good if request.completion_tokens is not None
        ]
        if figures:
            found.append(
                Point(
                    arm=arm.name,
                    load=load,
                    trustworthy=trustworthy,
                    figures=figures,
                    tokens=median(counts) if counts else None,
                )
            )
    return found


def _estimate(metric: Metric, cells: Sequence[Cell], level: float) -> Estimate | None:
    values = [value for cell in cells if (value := metric.block(cell)) is not None]
    if not values:
        return None
    spread = interval([math.log(value) for value in values], level) if min(values) > 0 else None
    if spread is None:
        return Estimate(value=median(values))
    return Estimate(value=math.exp(spread.estimate), low=math.exp(spread.low), high=math.exp(spread.high))
