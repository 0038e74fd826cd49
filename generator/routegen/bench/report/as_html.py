"""The report as one page: no script, no network, nothing beside it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from markupsafe import Markup

from routegen.bench import wording
from routegen.bench.comparisons import Compared
from routegen.bench.metrics import BY_KEY

from . import charts, figures
from .model import Answer, Report
from .page import WHOLE, Drawing, drawing, templates
from .usage import Usage

_WHOSE: Final = {
    "engine": "each engine",
    "pod": "each pod",
    "node": "each node",
    "gpu": "each GPU of the client's machine",
    "client": "the process that measures",
}


def render(report: Report) -> str:
    """The page."""
    return (
        templates()
        .get_template("report.html.j2")
        .render(
            report=report,
            design=report.run.design,
            comparisons=[(one, answer, list(_comparison(report, one))) for one, answer in _answered(report)],
            results={result.arm.name: result for result in report.arms},
            spreads=list(_spreads(report)),
            course=_course(report),
            usages=list(_usages(report)),
            metrics=BY_KEY,
            wording=wording,
            figures=figures,
            load=wording.load(report.run.design.load),
        )
    )


def _answered(report: Report) -> Iterator[tuple[Compared, Answer]]:
    return zip(report.compared, report.answers, strict=True)


def _comparison(report: Report, compared: Compared) -> Iterator[Drawing]:
    design = report.run.design
    yield from drawing(
        partial(charts.differences, report, compared),
        f"Each mark is one block. Grey band: ±{100 * design.margin:g} %, differences that don't matter. Coloured band: "
        f"the {design.confidence:.0%} interval of the whole.",
    )
    yield from drawing(
        partial(charts.effects, report, compared),
        "Each metric's difference with its own interval. The verdicts in the table also allow for their number (Holm).",
    )


def _spreads(report: Report) -> Iterator[Drawing]:
    for key in dict.fromkeys(one.metric for one in report.distributions):
        metric = BY_KEY[key]
        yield from drawing(
            partial(charts.spread, report, metric),
            f"{metric.title} ({metric.id}): further left is faster. "
            f"The fastest and the slowest {1 - charts.DRAWN:.0%} may lie outside.",
            _legend(report),
        )


def _course(report: Report) -> list[Drawing]:
    metric = BY_KEY[report.timeline.metric]
    caption = f"{metric.title}: each block's median, its line from quartile to quartile."
    return list(drawing(partial(charts.course, report), caption, _legend(report), wide=WHOLE))


def _usages(report: Report) -> Iterator[Drawing]:
    """A chart for each source's figure; not for one that was 0 all the time, which the table says in less room."""
    groups: dict[tuple[str, str], list[Usage]] = {}
    for one in report.resources.usage:
        groups.setdefault((one.source, one.figure), []).append(one)
    for (source, figure), found in groups.items():
        if any(value for one in found for _, value in one.series):
            yield from drawing(
                partial(charts.usage, report, figure, found),
                f"{figures.title(figure)} of {_WHOSE[source]}.",
                [(charts.swatch(charts.subject_order(report, one)), one.subject or source) for one in found],
            )


def _legend(report: Report) -> list[tuple[Markup, str]]:
    measured = {result.arm.name for result in report.arms}
    return [(charts.swatch(index), arm.name) for index, arm in enumerate(report.run.arms) if arm.name in measured]
