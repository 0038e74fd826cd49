"""The report in the terminal, and as plain text wherever else it is written."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Final

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from routegen.bench import wording
from routegen.bench.analysis import ArmResult
from routegen.bench.checks import Check
from routegen.bench.comparisons import Compared
from routegen.bench.metrics import BY_KEY

from . import figures
from .model import Report
from .parity import Parity
from .usage import Resources, Usage

_MARKS: Final = {"ok": "ok", "note": "note", "unknown": "unknown", "fail": "FAIL"}
_STYLES: Final = {"ok": "green", "note": "yellow", "unknown": "yellow", "fail": "bold red"}
_WIDTH: Final = 160


def show(report: Report) -> None:
    """Print the report on standard output: in colour on a terminal, else as :func:`render` has it."""
    console = Console(highlight=False)
    if console.is_terminal:
        _print(report, console)
    else:
        console.file.write(render(report))


def render(report: Report) -> str:
    """The report as plain text."""
    out = io.StringIO()
    _print(report, Console(file=out, highlight=False, width=_WIDTH, color_system=None))
    return out.getvalue()


def _print(report: Report, console: Console) -> None:
    for part in _parts(report):
        console.print(part)


def _parts(report: Report) -> Iterator[RenderableType]:
    if not report.arms:
        yield "No block is complete, so there is nothing to report."
        return
    design = report.run.design
    yield (
        f"{report.blocks} of {design.blocks} blocks, {design.requests} requests per arm and block, "
        f"{wording.load(design.load)}; {wording.work(design)}, "
        f"cache {design.cache}; seed {design.seed}"
    )
    yield ""
    for answer in report.answers:
        yield Text(answer.detail, style="bold")
        if answer.outlook:
            yield Text(f"  {answer.outlook}")
    if not report.trustworthy:
        yield Text("A check failed: these figures can't be trusted.", style="bold red")
    for compared in report.compared:
        if compared.comparison.question == "control":
            continue  # its headline says all
        yield ""
        yield _effects(report, compared)
    for arm in report.arms:
        yield ""
        yield _figures(arm)
    yield ""
    yield from _resources(report.resources, [arm.arm.name for arm in report.arms])
    yield from _parity(report.parity, [arm.arm.name for arm in report.arms])
    yield ""
    yield from _checks(report.checks)


def _effects(report: Report, compared: Compared) -> Table:
    base, other = compared.comparison.base, compared.comparison.other
    table = _table(f"{other} beside {base} ({compared.comparison.question})")
    for heading in ("", "metric", base, other, "difference", "interval", "floor", "verdict"):
        table.add_column(heading)
    results = {arm.arm.name: arm for arm in report.arms}
    for effect in compared.effects:
        metric = BY_KEY[effect.metric]
        values = [figure.median if (figure := results[arm].figure(metric.key)) else None for arm in (base, other)]
        name = f"{metric.title} (primary)" if effect is compared.primary else metric.title
        table.add_row(
            metric.id,
            name,
            *(wording.amount(metric, value) for value in values),
            wording.change(effect.difference),
            wording.reach(effect),
            "-" if effect.floor is None else f"{100 * effect.floor:.1f} %",
            wording.outcome(compared, effect),
        )
    return table


def _figures(result: ArmResult) -> Table:
    failed = sum(result.errors.values())
    table = _table(
        f"{result.arm.name}: {result.requests} requests, {failed} failed; {result.arm.model} at {result.arm.url}"
    )
    for heading in ("", "metric", "n", "median", "blocks from … to", "p90", "p95", "p99"):
        table.add_column(heading, justify="right" if heading == "n" else "left")
    first = result.figure("ttft")
    for figure in result.figures:
        metric = BY_KEY[figure.metric]
        if metric.key == "ttft_content" and first and figure.median == first.median:
            continue  # no reasoning: M01 again
        table.add_row(
            metric.id,
            metric.title,
            str(figure.n),
            wording.typical(metric, figure),
            f"{wording.amount(metric, figure.low)} … {wording.amount(metric, figure.high)}",
            *(wording.percentile(metric, found) for found in figure.percentiles[1:]),
        )
    return table


def _resources(found: Resources, arms: list[str]) -> Iterator[RenderableType]:
    if found.usage:
        table = _table("Resources: mean (and peak) while each arm was loaded")
        for heading in ("source", "subject", "figure", *arms):
            table.add_column(heading)
        for one in found.usage:
            table.add_row(one.source, one.subject, figures.title(one.figure), *(_mean(one, arm) for arm in arms))
        yield table
    for absence in found.absent:
        who = f"{absence.source} {absence.subject}".strip()
        when = " for some of the time" if absence.partly else ""
        yield Text(f"Not sampled{when}: {who}: {absence.reason}")


def _mean(usage: Usage, arm: str) -> str:
    own = [mean for mean in usage.arms if mean.arm == arm]
    return f"{figures.amount(usage.figure, own[0].mean)} ({figures.amount(usage.figure, own[0].peak)})" if own else "-"


def _parity(found: Parity, arms: list[str]) -> Iterator[RenderableType]:
    yield ""
    table = _table("Parity: did they do the same work?")
    for heading in ("", *arms, ""):
        table.add_column(heading)
    for row in found.rows:
        table.add_row(row.what, *(row.values.get(arm, "not told") for arm in arms), row.state)
    yield table
    if not found.audited:
        yield Text("The engines' manifests were not looked at; give them with --manifests to have them audited.")
    for finding in found.findings:
        doubt = ", cannot tell" if finding.cannot_tell else ""
        yield Text(f"{finding.rule} {finding.severity}{doubt}: {finding.message} ({finding.place})")


def _checks(checks: tuple[Check, ...]) -> Iterator[Text]:
    passed = sum(check.level == "ok" for check in checks)
    yield Text(f"Checks: {passed} of {len(checks)} are fine.")
    for check in checks:
        if check.level != "ok":
            yield Text.assemble((f"  {_MARKS[check.level]}: ", _STYLES[check.level]), check.message)


def _table(title: str) -> Table:
    return Table(title=Text(title), title_justify="left")
