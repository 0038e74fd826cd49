"""A sweep's report as one page: no script, no network; it leads to the pages of the steps beside it."""

from __future__ import annotations

from functools import partial

from routegen.bench import wording
from routegen.bench.metrics import BY_KEY

from . import sweep_chart, sweep_text
from .charts import swatch
from .page import WHOLE, drawing, templates
from .sweep_model import SweepReport, at


def render(report: SweepReport) -> str:
    """The page."""
    run = report.steps[0].run
    measured = {point.arm for point in report.points}
    return (
        templates()
        .get_template("sweep.html.j2")
        .render(
            report=report,
            run=run,
            design=run.design,
            unit="at once" if report.kind == "concurrency" else "requests/s",
            at=at,
            columns=sweep_text.columns(report),
            amount=partial(sweep_text.amount, report),
            metrics=BY_KEY,
            wording=wording,
            drawings=list(
                drawing(
                    partial(sweep_chart.curves, report),
                    f"Throughput against {sweep_chart.latency(report).title.lower()}: each mark is one load, named "
                    "beside it, with its intervals over the blocks; further right and lower is better. Where a line "
                    "turns up without going right, the engine is saturated.",
                    [(swatch(index), arm) for index, arm in enumerate(report.arms) if arm in measured],
                    wide=WHOLE,
                )
            ),
            verdicts=[
                (load, one, f"step-{number}/report.html")
                for number, (load, step) in enumerate(zip(report.loads, report.steps, strict=True), start=1)
                for one in step.compared
            ],
            failed=[
                (load, check)
                for load, step in zip(report.loads, report.steps, strict=True)
                for check in step.checks
                if check.level == "fail"
            ],
        )
    )
