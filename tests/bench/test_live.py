"""What is shown while it measures, on a terminal and elsewhere."""

import io

import msgspec
from rich.console import Console

from routegen.bench.live import Display
from routegen.bench.progress import Answered, Event, Finished, Started, Warming
from routegen.bench.records import Recorded
from support.bench_runs import DESIGN, make_run, measure

SMALL = msgspec.structs.replace(DESIGN, requests=1)
FRESH = Recorded(make_run("a", "b", design=SMALL), (), (), ())
WARMUP: list[Event] = [Warming(("a",)), Answered("a", 9.0, 9.0, 5, None), Warming(("b",))]
BLOCK: list[Event] = [
    Started(0, ("a",)),
    Answered("a", 0.05, 0.2, 5, None),
    Started(0, ("b",)),
    Answered("b", 0.06, 12.0, 5, None),
    Answered("b", None, None, None, "reset"),
]


def shown(recorded: Recorded, events: list[Event], *, terminal: bool) -> list[str]:
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=100, color_system=None, legacy_windows=False)
    with Display(recorded, console) as display:
        for event in events:
            display(event)
        if terminal:
            text.seek(0)
            text.truncate()
            display._live.refresh()
            lines = text.getvalue().splitlines()
            return [line.rstrip() for line in lines]
    return text.getvalue().splitlines()


def test_elsewhere_each_block_is_one_line_with_current_figures_and_time_left() -> None:
    lines = shown(FRESH, [*WARMUP, *BLOCK, Finished(0)], terminal=False)
    assert lines[:2] == ["warming up a", "warming up b"]
    assert lines[2].startswith("block 1 of 20: a 200 ms, b 12.0 s; ")
    assert lines[2].endswith(" left")
    assert len(lines) == 3


def test_on_a_terminal_progress_figures_and_failures_are_in_sight() -> None:
    lines = shown(FRESH, [*WARMUP, *BLOCK], terminal=True)
    assert any("block 1 of 20: b; " in line and line.endswith("left") for line in lines)
    assert "b                    2           1      60.0 ms      12.0 s" in lines
    assert any(set(line) == set("━╸") for line in lines), "the bar has a line of its own"
    assert any("Ctrl-C ends here" in line for line in lines)


def test_a_continued_run_counts_on_from_what_it_has() -> None:
    whole = measure(FRESH.run)
    cut = Recorded(whole.run, whole.requests, whole.blocks[:7], ())
    assert shown(cut, [Started(7, ("a",)), Finished(7)], terminal=False)[0].startswith("block 8 of 20: ")
