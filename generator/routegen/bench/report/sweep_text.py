"""A sweep's report in the terminal, and as plain text wherever else it is written."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Final

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from routegen.bench import wording
from routegen.bench.curve import Estimate, Point
from routegen.bench.metrics import BY_KEY

from .sweep_model import SweepReport, at

_WIDTH: Final = 160
COLUMNS: Final = ("steady_token_rate", "token_rate", "ttft", "tpot", "e2e", "goodput", "errors")
"""Metrics, in the order of their columns; one that no point has gets none."""
SPREAD: Final = ("steady_token_rate", "token_rate", "e2e")
"""The metrics that are shown with their intervals; the primary one too."""


def show(report: SweepReport) -> None:
    """Print the report on standard output: in colour on a terminal, else as :func:`render` has it."""
    console = Console(highlight=False)
    if console.is_terminal:
        _print(report, console)
    else:
        console.file.write(render(report))


def render(report: SweepReport) -> str:
    """The report as plain text."""
    out = io.StringIO()
    _print(report, Console(file=out, highlight=False, width=_WIDTH, color_system=None))
    return out.getvalue()


def columns(report: SweepReport) -> list[str]:
    """The metrics that any point has."""
    keys = dict.fromkeys((*COLUMNS, report.primary))
    known = [key for key in keys if any(key in point.figures for point in report.points)]
    return [key for key in known if key != "token_rate" or "steady_token_rate" not in known or key == report.primary]


def amount(report: SweepReport, key: str, found: Estimate | None) -> str:
    """An estimate with its interval: ``210 ms (205 … 214)``."""
    if found is None:
        return "-"
    metric = BY_KEY[key]
    value = wording.amount(metric, found.value)
    if found.low is None or found.high is None or key not in {*SPREAD, report.primary}:
        return value
    low, high = wording.amount(metric, found.low), wording.amount(metric, found.high)
    unit = value.removeprefix(value.partition(" ")[0]) or "/s"
    return f"{value} ({low.removesuffix(unit)} … {high.removesuffix(unit)})"


def _print(report: SweepReport, console: Console) -> None:
    for part in _parts(report):
        console.print(part)


def _parts(report: SweepReport) -> Iterator[RenderableType]:
    if not report.points:
        yield "No block is complete, so there is nothing to report."
        return
    design = report.steps[0].run.design
    yield f"A sweep {at(report.kind, list(report.loads))}; {wording.work(design)}, cache {design.cache}"
    yield ""
    for answer in report.answers:
        yield Text(answer, style="bold")
    for load, step in zip(report.loads, report.steps, strict=True):
        for check in step.checks:
            if check.level == "fail":
                yield Text(f"{at(report.kind, [load])}: a check failed: {check.message}", style="bold red")
    for arm in report.arms:
        if own := report.of(arm):
            yield ""
            yield _table(report, arm, own)


def _table(report: SweepReport, arm: str, points: list[Point]) -> Table:
    table = Table(title=Text(arm), title_justify="left")
    table.add_column("at once" if report.kind == "concurrency" else "requests/s", justify="right")
    keys = columns(report)
    for key in keys:
        table.add_column(f"{BY_KEY[key].title} ({BY_KEY[key].id})")
    for point in points:
        doubt = "" if point.trustworthy else " !"
        table.add_row(f"{point.load:g}{doubt}", *(amount(report, key, point.figures.get(key)) for key in keys))
    return table
