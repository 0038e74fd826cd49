"""The report in the terminal, and as plain text wherever else it is written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from . import wording
from .analysis import Analysis, ArmResult, Compared
from .checks import Check
from .metrics import BY_KEY

_MARKS: Final = {"ok": "ok", "note": "note", "unknown": "unknown", "fail": "FAIL"}
_STYLES: Final = {"ok": "green", "note": "yellow", "unknown": "yellow", "fail": "bold red"}
_WIDTH: Final = 160


def show(analysis: Analysis, console: Console | None = None) -> None:
    """Print the report on standard output."""
    if console is None:
        console = Console(highlight=False)
        if not console.is_terminal:
            console = Console(highlight=False, width=_WIDTH, color_system=None)
    for part in _parts(analysis):
        console.print(part)


def _parts(analysis: Analysis) -> Iterator[RenderableType]:
    if not analysis.arms:
        yield "No block is complete, so there is nothing to report."
        return
    design = analysis.run.design
    load = design.load
    how = f"{load.concurrency} at once" if load.concurrency is not None else f"{load.rate:g} requests/s, {load.kind}"
    yield (
        f"{analysis.blocks} of {design.blocks} blocks, {design.requests} requests per arm and block, {how}; "
        f"{design.input_tokens} tokens in, {design.output_tokens} out, cache {design.cache}; seed {design.seed}"
    )
    yield ""
    for compared in analysis.compared:
        yield Text(wording.headline(analysis, compared), style="bold")
    if not analysis.valid:
        yield Text("A check failed: these figures can't be trusted.", style="bold red")
    for compared in analysis.compared:
        if compared.comparison.question == "control":
            continue  # its headline says all
        yield ""
        yield _effects(analysis, compared)
    for arm in analysis.arms:
        yield ""
        yield _figures(arm)
    yield ""
    yield from _checks(analysis.checks)


def _effects(analysis: Analysis, compared: Compared) -> Table:
    base, other = compared.comparison.base, compared.comparison.other
    table = Table(title=f"{other} beside {base} ({compared.comparison.question})", title_justify="left")
    for heading in ("", "metric", base, other, "difference", "interval", "floor", "verdict"):
        table.add_column(heading)
    results = {arm.arm.name: arm for arm in analysis.arms}
    for effect in (compared.primary, *compared.others):
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
    title = f"{result.arm.name}: {result.requests} requests, {failed} failed; {result.arm.model} at {result.arm.url}"
    table = Table(title=title, title_justify="left")
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
            wording.amount(metric, figure.median),
            f"{wording.amount(metric, figure.low)} … {wording.amount(metric, figure.high)}",
            *(wording.percentile(metric, found) for found in figure.percentiles[1:]),
        )
    return table


def _checks(checks: tuple[Check, ...]) -> Iterator[Text]:
    passed = sum(check.level == "ok" for check in checks)
    yield Text(f"Checks: {passed} of {len(checks)} are fine.")
    for check in checks:
        if check.level != "ok":
            yield Text.assemble((f"  {_MARKS[check.level]}: ", _STYLES[check.level]), check.message)
