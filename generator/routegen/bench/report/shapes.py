"""How latencies are spread and how they moved: the points that charts are drawn from. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from routegen.bench.design import Run
from routegen.bench.metrics import BY_KEY, Cell
from routegen.bench.records import Recorded
from routegen.bench.stats import quantile

SPREAD: Final = ("ttft", "tpot", "e2e")
"""The metrics whose distribution is shown; the primary one too, where requests have it."""

POINTS: Final = 200
"""A curve of more values than this is drawn from this many of them, its ends included."""


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """All of an arm's values of one metric, as an empirical distribution function."""

    metric: str
    arm: str
    n: int
    """How many values there were; the curve may have fewer points."""
    curve: tuple[tuple[float, float], ...]
    """(value, share of the values that are not above it), rising."""


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """One arm's part of one block, on the run's clock."""

    arm: str
    block: int
    started: float
    """Seconds since the run began, as ``ended``."""
    ended: float
    failed: int
    low: float | None
    """The lower quartile, as ``median`` and ``high``; ``None`` where no request has a value."""
    median: float | None
    high: float | None


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """One metric over the run."""

    metric: str
    stretches: tuple[Stretch, ...]
    """In the order in which they were run."""


def distributions(run: Run, cells: Mapping[str, Mapping[int, Cell]]) -> Iterator[Distribution]:
    """The distributions that a report shows, metric by metric, each in the order of the run's arms."""
    for key in dict.fromkeys((BY_KEY[run.design.primary].of, *SPREAD)):
        metric = BY_KEY[key]
        if metric.each is None:
            continue
        for arm in run.arms:
            values = sorted(value for cell in cells.get(arm.name, {}).values() for value in metric.values(cell))
            if values:
                yield Distribution(metric=key, arm=arm.name, n=len(values), curve=tuple(_curve(values)))


def _curve(ordered: list[float]) -> Iterable[tuple[float, float]]:
    size = len(ordered)
    step = max((size - 1) / (POINTS - 1), 1.0)
    places = sorted({round(number * step) for number in range(min(size, POINTS))})
    return ((ordered[place], (place + 1) / size) for place in places)


def timeline(recorded: Recorded, cells: Mapping[str, Mapping[int, Cell]]) -> Timeline:
    """The primary metric, or end to end where that one has no values of single requests, part by part."""
    primary = BY_KEY[recorded.run.design.primary]
    metric = primary if primary.each is not None else BY_KEY["e2e"]
    found = []
    for block in recorded.blocks:
        for part in block.parts:
            for arm in part.arms:
                cell = cells.get(arm, {}).get(block.block)
                values = metric.values(cell) if cell is not None else []
                quartiles = [quantile(values, share) if values else None for share in (0.25, 0.5, 0.75)]
                found.append(
                    Stretch(
                        arm=arm,
                        block=block.block,
                        started=part.started,
                        ended=part.ended,
                        failed=sum(request.error is not None for request in cell.requests) if cell else 0,
                        low=quartiles[0],
                        median=quartiles[1],
                        high=quartiles[2],
                    )
                )
    return Timeline(metric=metric.key, stretches=tuple(sorted(found, key=lambda one: (one.started, one.arm))))
