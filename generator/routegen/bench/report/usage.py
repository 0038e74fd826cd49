"""What was sampled beside the latencies, aligned with the parts of the blocks. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import Final, Literal

import msgspec

from routegen.bench.records import Recorded, Sample

SOURCES: Final = ("engine", "pod", "node", "gpu", "client")
"""In the order in which reports show them."""

POINTS: Final = 400
"""A series of more points is thinned to about this many, each the mean of its neighbours."""

COUNTER: Final = "_total"
"""How the name of a figure that only grows ends; what is shown of it is its rate."""

Source = Literal["client", "pod", "node", "gpu", "engine"]


class Mean(msgspec.Struct, frozen=True, kw_only=True):
    """One figure while one arm was loaded."""

    arm: str
    n: int
    """Samples in the arm's parts."""
    mean: float
    peak: float


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of one subject."""

    source: Source
    subject: str
    """The pod, node, GPU or engine."""
    figure: str
    """Its name with its unit, such as ``cpu_cores``; counters have become ``…_per_second``."""
    arms: tuple[Mean, ...]
    series: tuple[tuple[float, float], ...]
    """(seconds since the run began, value)."""


class Absence(msgspec.Struct, frozen=True, kw_only=True):
    """A source, or one subject of it, that had nothing to say for some of the time or all of it."""

    source: Source
    subject: str
    reason: str


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was sampled."""

    usage: tuple[Usage, ...]
    absent: tuple[Absence, ...]


def resources(recorded: Recorded) -> Resources:
    """The samples of ``recorded``; a source that left no sample at all is absent too."""
    absent = {(one.source, one.subject, one.absent): None for one in recorded.samples if one.absent is not None}
    seen = {sample.source for sample in recorded.samples}
    silent = [Absence(source=source, subject="", reason="not sampled") for source in SOURCES if source not in seen]
    said = [Absence(source=source, subject=subject, reason=reason or "") for source, subject, reason in absent]
    return Resources(usage=tuple(_usage(recorded)), absent=(*said, *silent))


def _usage(recorded: Recorded) -> Iterator[Usage]:
    windows = [
        (arm, part.started, part.ended) for block in recorded.blocks for part in block.parts for arm in part.arms
    ]
    ordered = sorted(recorded.samples, key=lambda one: (SOURCES.index(one.source), one.subject, one.at))
    for (source, subject), samples in groupby(ordered, key=lambda one: (one.source, one.subject)):
        for figure, series in _figures(list(samples)):
            means = tuple(_means(series, windows, [arm.name for arm in recorded.run.arms]))
            yield Usage(source=source, subject=subject, figure=figure, arms=means, series=tuple(_thinned(series)))


def _figures(samples: Sequence[Sample]) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    """Each figure's series; counters as rates, which a restart (a counter that falls) interrupts."""
    for name in dict.fromkeys(name for sample in samples for name in sample.values):
        series = [(sample.at, sample.values[name]) for sample in samples if name in sample.values]
        if name.endswith(COUNTER):
            rates = [
                (later[0], (later[1] - earlier[1]) / (later[0] - earlier[0]))
                for earlier, later in pairwise(series)
                if later[0] > earlier[0] and later[1] >= earlier[1]
            ]
            if rates:
                yield f"{name.removesuffix(COUNTER)}_per_second", rates
        else:
            yield name, series


def _means(
    series: Iterable[tuple[float, float]], windows: Sequence[tuple[str, float, float]], arms: Iterable[str]
) -> Iterator[Mean]:
    points = list(series)
    for arm in arms:
        own = [(started, ended) for name, started, ended in windows if name == arm]
        values = [value for at, value in points if any(started <= at <= ended for started, ended in own)]
        if values:
            yield Mean(arm=arm, n=len(values), mean=sum(values) / len(values), peak=max(values))


def _thinned(series: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    width = -(-len(series) // POINTS)
    for start in range(0, len(series), max(width, 1)):
        group = series[start : start + width]
        yield sum(at for at, _ in group) / len(group), sum(value for _, value in group) / len(group)
