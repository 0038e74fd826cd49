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

_CORES: Final = {"cpu_seconds_per_second": "cpu_cores"}
"""A rate that has a name of its own."""

_Point = tuple[float, float, float]
"""From when to when, and the value; one moment for what is not a rate."""

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
    """Its name with its unit, such as ``cpu_cores``; counters have become rates, such as ``…_per_second``."""
    arms: tuple[Mean, ...]
    series: tuple[tuple[float, float], ...]
    """(seconds since the run began, value)."""


class Absence(msgspec.Struct, frozen=True, kw_only=True):
    """A source, or one subject of it, that had nothing to say."""

    source: Source
    subject: str
    reason: str
    partly: bool
    """Only for some of the time; there are figures for the rest."""


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was sampled."""

    usage: tuple[Usage, ...]
    absent: tuple[Absence, ...]


def resources(recorded: Recorded) -> Resources:
    """The samples of ``recorded``; a source that left no sample at all is absent too."""
    gone = {(one.source, one.subject, one.absent): None for one in recorded.samples if one.absent is not None}
    present = {(one.source, one.subject) for one in recorded.samples if one.absent is None}
    seen = {sample.source for sample in recorded.samples}
    absent = [
        Absence(source=source, subject=subject, reason=reason or "", partly=(source, subject) in present)
        for source, subject, reason in gone
    ]
    absent += [
        Absence(source=source, subject="", reason="not sampled", partly=False)
        for source in SOURCES
        if source not in seen
    ]
    return Resources(usage=tuple(_usage(recorded)), absent=tuple(absent))


def _usage(recorded: Recorded) -> Iterator[Usage]:
    windows = [
        (arm, part.started, part.ended) for block in recorded.blocks for part in block.parts for arm in part.arms
    ]
    engines = [arm.engine for arm in recorded.run.arms]

    def place(one: Sample) -> tuple[int, int, str, float]:
        """By source; engines in the order of their arms, everything else by name; then by time."""
        order = engines.index(one.subject) if one.subject in engines else 0
        return SOURCES.index(one.source), order, one.subject, one.at

    ordered = sorted(recorded.samples, key=place)
    for (source, subject), samples in groupby(ordered, key=lambda one: (one.source, one.subject)):
        for figure, points in _figures(list(samples)):
            means = tuple(_means(points, windows, [arm.name for arm in recorded.run.arms]))
            yield Usage(source=source, subject=subject, figure=figure, arms=means, series=tuple(_series(points)))


def _figures(samples: Sequence[Sample]) -> Iterator[tuple[str, list[_Point]]]:
    """Each figure's points; counters as rates, which a restart (a counter that falls) interrupts."""
    for name in dict.fromkeys(name for sample in samples for name in sample.values):
        known = [(sample.at, sample.values[name]) for sample in samples if name in sample.values]
        if not name.endswith(COUNTER):
            yield name, [(at, at, value) for at, value in known]
            continue
        rates = [
            (earlier[0], later[0], (later[1] - earlier[1]) / (later[0] - earlier[0]))
            for earlier, later in pairwise(known)
            if later[0] > earlier[0] and later[1] >= earlier[1]
        ]
        if rates:
            rate = f"{name.removesuffix(COUNTER)}_per_second"
            yield _CORES.get(rate, rate), rates


def _means(
    points: Sequence[_Point], windows: Sequence[tuple[str, float, float]], arms: Iterable[str]
) -> Iterator[Mean]:
    """Each arm's mean over the points that lie wholly inside its parts."""
    for arm in arms:
        own = [(started, ended) for name, started, ended in windows if name == arm]
        values = [
            value
            for since, until, value in points
            if any(started <= since and until <= ended for started, ended in own)
        ]
        if values:
            yield Mean(arm=arm, n=len(values), mean=sum(values) / len(values), peak=max(values))


def _series(points: Sequence[_Point]) -> Iterator[tuple[float, float]]:
    """What is drawn: each point in its middle, thinned."""
    width = -(-len(points) // POINTS)
    for start in range(0, len(points), max(width, 1)):
        group = points[start : start + width]
        yield (
            sum(since + until for since, until, _ in group) / 2 / len(group),
            sum(value for *_, value in group) / len(group),
        )
