"""What is shown while it measures: a live table on a terminal, a line a block elsewhere. All on standard error."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from . import wording
from .metrics import BY_KEY
from .progress import Answered, Event, Finished, Looking, Started, Warming
from .records import Recorded
from .stats import FEWEST, median

_RECENT = 64
"""Requests that the current figures are about."""


@dataclass(slots=True)
class _Current:
    """One arm's last answers."""

    ttft: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))
    e2e: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))
    answered: int = 0
    failed: int = 0


class Display:
    """Shows events as they come. A context manager; call it with each event."""

    def __init__(
        self, recorded: Recorded, console: Console | None = None, outlook: Callable[[], Iterable[str]] = tuple
    ) -> None:
        # outlook: what can be said of the whole run, once there are enough blocks for a guess
        run = recorded.run
        self._outlook = outlook
        self._design = run.design
        self._done = len(recorded.done)
        self._current = {arm.name: _Current() for arm in run.arms}
        self._measured = 0
        self._to_measure = (run.design.blocks - self._done) * run.design.requests * len(run.arms)
        self._since: float | None = None
        self._now = ""
        self._console = console or Console(stderr=True, highlight=False)
        self._live = Live(get_renderable=self._draw, console=self._console, refresh_per_second=2, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Take in one event."""
        match event:
            case Warming():
                self._now = f"warming up {' and '.join(event.arms)}"
                self._say(self._now)
            case Started():
                if self._since is None:
                    self._since = time.monotonic()
                    self._current = {arm: _Current() for arm in self._current}  # the warm-up's figures mean nothing
                self._now = f"block {event.block + 1} of {self._design.blocks}: {' and '.join(event.arms)}"
            case Answered():
                self._answered(event)
            case Finished():
                self._done += 1
                self._say(f"block {self._done} of {self._design.blocks}: {self._figures()}; {self._left()}")
                if self._done == FEWEST:
                    for sentence in self._outlook():
                        self._console.print(sentence, soft_wrap=True)
            case Looking():
                self._say(f"looking at {event.blocks} blocks")

    def _answered(self, event: Answered) -> None:
        current = self._current[event.arm]
        current.answered += 1
        current.failed += event.error is not None
        if event.ttft is not None:
            current.ttft.append(event.ttft)
        if event.e2e is not None:
            current.e2e.append(event.e2e)
        self._measured += self._since is not None

    def _say(self, line: str) -> None:
        if not self._console.is_terminal:
            self._console.print(line, soft_wrap=True)

    def _figures(self) -> str:
        return ", ".join(
            f"{name} {wording.amount(BY_KEY['e2e'], median(current.e2e) if current.e2e else None)}"
            for name, current in self._current.items()
        )

    def _left(self) -> str:
        """The time left, from the pace so far."""
        if self._since is None or not self._measured:
            return "time left not known yet"
        pace = (time.monotonic() - self._since) / self._measured
        seconds = round(pace * max(self._to_measure - self._measured, 0))
        return f"{seconds // 60} min {seconds % 60:02} s left" if seconds >= 60 else f"{seconds} s left"  # noqa: PLR2004

    def _draw(self) -> Group:
        table = Table(box=None, pad_edge=False)
        for heading in ("", "requests", "failed", "first token", "end to end"):
            table.add_column(heading, justify="left" if not heading else "right", min_width=10)
        for name, current in self._current.items():
            figures = [median(values) if values else None for values in (current.ttft, current.e2e)]
            table.add_row(
                name,
                str(current.answered),
                str(current.failed),
                *(wording.amount(BY_KEY["e2e"], figure) for figure in figures),
            )
        bar = Table.grid()  # a bar alone doesn't end its line
        bar.add_row(ProgressBar(total=max(self._to_measure, 1), completed=self._measured, width=60))
        footer = Text(f"medians of the last {_RECENT}; Ctrl-C ends here and reports what is complete", style="dim")
        return Group(Text(f"{self._now}; {self._left()}"), bar, table, footer)
