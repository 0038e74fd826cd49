"""A run folder's records turned into everything that a report shows. Pure, and the same every time.

Reports (terminal, JSON, HTML) read an :class:`Analysis` and compute nothing themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from .checks import Check, run_checks
from .comparisons import Compared, compare_all
from .design import Arm, Run
from .metrics import BY_KEY, METRICS, Cell, Metric, steady_needs
from .records import Recorded, Request
from .sameness import samenesses
from .settled import SETTLED, settled
from .stats import median, needed, quantile
from .verdict import withhold

PERCENTILES: Final = (0.5, 0.9, 0.95, 0.99)


class Percentile(msgspec.Struct, frozen=True):
    """One percentile, or how many values it would need."""

    share: float
    value: float | None
    """``None``: n too small."""
    needs: int
    """The least number of values for which this percentile is given."""


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of one arm over all blocks."""

    metric: str
    n: int
    median: float | None
    """Of the block values: one bad block moves it little."""
    low: float | None
    """The least block value."""
    high: float | None
    percentiles: tuple[Percentile, ...] = ()
    """Over all requests (or chunks), failed ones included; none for metrics of a whole cell."""
    needs: int | None = None
    """Where there is no figure: how many requests a block would have to have."""


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """Medians of what usage reported; ``None``: not reported."""

    prompt: float | None
    completion: float | None
    cached: float | None


class ArmResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one arm did."""

    arm: Arm
    requests: int
    errors: dict[str, int]
    """Kind -> how many."""
    tokens: Tokens
    figures: tuple[Figure, ...]

    def figure(self, key: str) -> Figure | None:
        """The figure of the metric called ``key``, if the arm has one."""
        return next((figure for figure in self.figures if figure.metric == key), None)


class Analysis(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a report shows."""

    run: Run
    blocks: int
    """Complete ones."""
    arms: tuple[ArmResult, ...]
    compared: tuple[Compared, ...]
    checks: tuple[Check, ...]
    strangers: tuple[tuple[str, str], ...] = ()
    """Pairs of arms no answer of which even begins alike, with greedy sampling."""

    @property
    def valid(self) -> bool:
        """Whether no check failed."""
        return all(check.level != "fail" for check in self.checks)

    @property
    def decided(self) -> bool:
        """Whether more blocks could tell nothing new: no comparison of engines is open, or none can be trusted.

        One that moved may have settled later, or only by chance have seemed to move.
        """
        if not self.valid:
            return any(check.level == "fail" and check.id != SETTLED for check in self.checks)
        engines = [one for one in self.compared if one.comparison.question == "engines"] or list(self.compared)
        return all(one.primary.outcome != "inconclusive" for one in engines)


def analyse(recorded: Recorded) -> Analysis:
    """Everything that can be said about ``recorded``."""
    cells = cells_of(recorded)
    flat = [cell for blocks in cells.values() for cell in blocks.values()]
    compared = tuple(compare_all(recorded, cells))
    checks = (*run_checks(recorded, flat), *settled(compared), *_control(compared))
    if any(check.level == "fail" for check in checks):
        compared = tuple(one.each(withhold) for one in compared)
    return Analysis(
        run=recorded.run,
        blocks=len(recorded.done),
        arms=tuple(
            _arm(recorded.run, arm, list(cells[arm.name].values())) for arm in recorded.run.arms if cells.get(arm.name)
        ),
        compared=compared,
        checks=checks,
        strangers=tuple((one.base, one.other) for one, found in samenesses(recorded) if found.strange),
    )


def cells_of(recorded: Recorded) -> dict[str, dict[int, Cell]]:
    """Arm -> block -> its requests, of complete blocks, in order."""
    found: dict[str, dict[int, list[Request]]] = {}
    for request in recorded.measured():
        found.setdefault(request.arm, {}).setdefault(request.block, []).append(request)
    design = recorded.run.design
    return {
        arm: {
            block: Cell(arm, block, tuple(requests), design.slo, design.timeout, design.load)
            for block, requests in sorted(blocks.items())
        }
        for arm, blocks in found.items()
    }


def _arm(run: Run, arm: Arm, cells: Sequence[Cell]) -> ArmResult:
    requests = [request for cell in cells for request in cell.requests]
    good = [request for request in requests if request.error is None]
    return ArmResult(
        arm=arm,
        requests=len(requests),
        errors=dict(sorted(Counter(request.error for request in requests if request.error is not None).items())),
        tokens=Tokens(
            prompt=_median(request.prompt_tokens for request in good),
            completion=_median(request.completion_tokens for request in good),
            cached=_median(request.cached_tokens for request in good),
        ),
        figures=tuple(_figures(run, cells)),
    )


def _figures(run: Run, cells: Sequence[Cell]) -> Iterator[Figure]:
    needs = steady_needs(run.design.load)
    primary = BY_KEY[run.design.primary]
    for metric in METRICS if primary in METRICS else (*METRICS, primary):
        if any(map(metric.outcomes, cells)):
            yield _figure(metric, cells)
        elif metric.key == "steady_token_rate" and needs > run.design.requests:
            yield Figure(metric=metric.key, n=0, median=None, low=None, high=None, needs=needs)


def _figure(metric: Metric, cells: Sequence[Cell]) -> Figure:
    values = [value for cell in cells for value in metric.outcomes(cell)]
    blocks = [value for cell in cells if (value := metric.block(cell)) is not None]
    return Figure(
        metric=metric.key,
        n=len(values),
        median=median(blocks),
        low=min(blocks),
        high=max(blocks),
        percentiles=tuple(
            Percentile(share, quantile(values, share) if len(values) >= needed(share) else None, needed(share))
            for share in PERCENTILES
            if metric.each is not None and metric.of == metric.key
        ),
    )


def _control(compared: Iterable[Compared]) -> Iterator[Check]:
    for one in compared:
        if one.comparison.question == "control" and one.primary.outcome.endswith("better"):
            message = (
                f"{one.comparison.other} differs from {one.comparison.base}, which it repeats: something other than "
                "the engine is measured here. Differences below the noise floor are not called better."
            )
            yield Check(id="control", level="note", message=message)


def _median(counts: Iterable[int | None]) -> float | None:
    known = [count for count in counts if count is not None]
    return median(known) if known else None
