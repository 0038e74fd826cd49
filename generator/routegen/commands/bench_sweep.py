"""What ``routegen bench --sweep`` does once its folder is there: measure its steps, report them, end rightly."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from routegen.common.files import write_atomically
from routegen.common.problems import INTERRUPTED, UserError

from . import bench_run

if TYPE_CHECKING:
    from routegen.bench.report.sweep_model import SweepReport
    from routegen.bench.resources.sampler import Source


def measure(folder: Path, pods: Source, *, fail_if_worse: bool) -> int:
    """Measure the steps that the sweep still lacks, from the least load on, and report it; what the process ends with.

    :raises UserError: something stood in the way; what was complete by then is reported all the same.
    """
    from routegen.bench import records, sweep  # noqa: PLC0415 - not for `--help`
    from routegen.bench.report import sweep_model, sweep_text  # noqa: PLC0415

    found = sweep.load(folder)
    steps = sweep.folders(folder, found)
    stopped: UserError | None = None
    complete = True
    try:
        for number, (load, step) in enumerate(zip(found.loads, steps, strict=True), start=1):
            click.echo(f"step {number} of {len(steps)}, {sweep_model.at(found.kind, [load])}", err=True)
            try:
                complete = bench_run.conduct(step, pods)
            except UserError as error:
                if not any(records.read(one).done for one in steps):
                    raise
                stopped, complete = error, False
            bench_run.report(step)
            if not complete:
                break
        told = _report(folder)
        sweep_text.show(told)
        click.echo(f"report: {folder / 'report.html'}", err=True)
    except KeyboardInterrupt:
        click.echo(f"interrupted; what is complete is kept, see it with: routegen bench report {folder}", err=True)
        return INTERRUPTED
    bench_run.say_how_to_go_on(folder, complete=complete, stopped=stopped)
    return _exit_code(told, complete=complete, fail_if_worse=fail_if_worse)


def report(folder: Path, form: str, *, fail_if_worse: bool) -> int:
    """Report a sweep's folder again; what the process ends with.

    :param form: ``text``, ``json`` or ``html``.
    :raises UserError: it can't be read.
    """
    from routegen.bench import sweep  # noqa: PLC0415 - not for `--help`
    from routegen.bench.report import as_json, sweep_html, sweep_model, sweep_text  # noqa: PLC0415

    found = sweep_model.build(sweep.read_all(folder))
    if form == "text":
        sweep_text.show(found)
    else:
        click.echo({"json": as_json.render, "html": sweep_html.render}[form](found), nl=False)
    return _exit_code(found, complete=True, fail_if_worse=fail_if_worse)


def _report(folder: Path) -> SweepReport:
    from routegen.bench import sweep  # noqa: PLC0415 - not for `--help`
    from routegen.bench.report import as_json, sweep_html, sweep_model  # noqa: PLC0415

    found = sweep_model.build(sweep.read_all(folder))
    write_atomically(folder / "report.json", as_json.render(found))
    write_atomically(folder / "report.html", sweep_html.render(found))
    return found


def _exit_code(found: SweepReport, *, complete: bool, fail_if_worse: bool) -> int:
    """The worst that any step would end with; a check that failed comes before an engine that is worse."""
    codes = {bench_run.exit_code(step, complete=complete, fail_if_worse=fail_if_worse) for step in found.steps}
    return next((code for code in (INTERRUPTED, bench_run.INVALID, bench_run.WORSE) if code in codes), 0)
