"""What ``routegen bench`` does once a run folder is there: measure it, report it, and end with the right code."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import current_thread, main_thread
from typing import TYPE_CHECKING, Final

import click

from routegen.common.files import write_atomically
from routegen.common.problems import INTERRUPTED, UserError

if TYPE_CHECKING:
    from routegen.bench.analysis import Analysis
    from routegen.bench.report.model import Report
    from routegen.bench.resources.sampler import Source

INVALID: Final = 3
"""Exit code: a check failed, so the figures can't be trusted."""
WORSE: Final = 4
"""Exit code with ``--fail-if-worse``: an engine is worse than the first."""


def exit_code(analysis: Analysis, *, complete: bool, fail_if_worse: bool) -> int:
    """What the process ends with."""
    if not complete:
        return INTERRUPTED
    if not analysis.valid:
        return INVALID
    engines = [one for one in analysis.compared if one.comparison.question == "engines"]
    return WORSE if fail_if_worse and any(one.primary.outcome == "base better" for one in engines) else 0


def measure(folder: Path, pods: Source, *, fail_if_worse: bool) -> int:
    """Measure what the run still lacks and report it; what the process ends with.

    :raises UserError: something stood in the way; what was complete by then is reported all the same.
    """
    from routegen.bench import records  # noqa: PLC0415 - not for `--help`
    from routegen.bench.report import as_text  # noqa: PLC0415

    stopped: UserError | None = None
    complete = False
    try:
        try:
            complete = conduct(folder, pods)
        except UserError as error:
            if not records.read(folder).done:
                raise
            stopped = error
        found = report(folder)
        as_text.show(found)
        click.echo(f"report: {folder / 'report.html'}", err=True)
    except KeyboardInterrupt:
        click.echo(f"interrupted; what is complete is kept, see it with: routegen bench report {folder}", err=True)
        return INTERRUPTED
    say_how_to_go_on(folder, complete=complete, stopped=stopped)
    return exit_code(found, complete=complete, fail_if_worse=fail_if_worse)


def conduct(folder: Path, pods: Source) -> bool:
    """Measure what the run still lacks, and show how it goes; whether it ran to its end.

    :raises UserError: something stood in the way.
    """
    from routegen.bench import conduct as conducting  # noqa: PLC0415 - not for `--help`
    from routegen.bench import live, records, wording  # noqa: PLC0415
    from routegen.bench.analysis import analyse  # noqa: PLC0415
    from routegen.bench.resources import sources  # noqa: PLC0415

    recorded = records.read(folder)

    def outlook() -> Iterator[str]:
        found = analyse(records.read(folder))
        return (wording.outlook(found, one) for one in found.compared if one.comparison.question != "control")

    def decided() -> bool:
        return analyse(records.read(folder)).decided

    with _terminated_as_interrupted(), live.Display(recorded, outlook=outlook) as display:
        return conducting.conduct(folder, display, sources.sampling(folder, recorded.run, pods), decided)


def say_how_to_go_on(folder: Path, *, complete: bool, stopped: UserError | None) -> None:
    """The last words of what isn't complete.

    :raises UserError: what stood in the way, again.
    """
    if not complete:
        click.echo(f"{'stopped' if stopped else 'interrupted'}; go on with: routegen bench --resume {folder}", err=True)
    if stopped:
        raise stopped


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM, with which a pod or a CI job ends, is a Ctrl-C; in the main thread, the only one that gets signals."""
    if current_thread() is not main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def report(folder: Path) -> Report:
    """The run's report, put beside the records for programs and for browsers."""
    from routegen.bench import records  # noqa: PLC0415 - not for `--help`
    from routegen.bench.report import as_html, as_json, model  # noqa: PLC0415

    found = model.build(records.read(folder))
    write_atomically(folder / "report.json", as_json.render(found))
    write_atomically(folder / "report.html", as_html.render(found))
    return found
