"""A run of real processes, scraped as Prometheus would, written in promtool's notation for the tests of the alerts.

Most runs are scraped once a second, and each scrape is written as 15 s: rates in them are a fifteenth of what they
were, everything else is what the processes said. ``every: 15`` is a run in true time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import yaml
from reliability.rig import ROUTES, Rig, rig

from routegen.compile import compile_text
from routegen.plan import Plan

from .faults import ENGINE, Fault
from .promql import names

ROOT: Final = Path(__file__).parents[2]
RULES: Final = ROOT / "manifests" / "monitoring" / "alerts.yaml"
CALM, FAULTY = 24, 40
"""Scrapes before the fault, and from it on: 6 and 10 minutes."""
WRITTEN_AS: Final = 15
"""Seconds."""
ASKED: Final = (
    {"model": "m"},
    {"model": "m", "inference_server": "one"},
    {"model": "m", "inference_server": "two"},
    {"model": "m", "inference_server": "one"},
    {"model": "unknown"},
)
"""Requests in turn."""
PAUSE: Final = 0.2
"""Seconds between two."""
_SAMPLE: Final = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$")


def spoken_of() -> frozenset[str]:
    """The metrics of all rules."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return frozenset().union(*(names(rule["expr"]) for group in groups for rule in group["rules"]))


def plan(fault: Fault) -> Plan:
    """What the run is routed by."""
    text = ROUTES.replace("FIRST", "50").replace("SECOND", "50")
    text = text.replace("{target: envoy}", f"{{target: envoy, memory: {fault.memory}}}")
    return compile_text(text.replace("  rules:", f"{fault.settings}  rules:"), "routes.yaml", target="envoy")


def samples(text: str, wanted: frozenset[str]) -> Iterator[tuple[str, str, str]]:
    """Name, labels and value of those that are wanted."""
    for line in text.splitlines():
        found = _SAMPLE.match(line)
        if found is not None and found[1] in wanted:
            yield found[1], found[2] or "", found[3]


class Recording:
    """Series as they grow."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self._wanted = wanted
        self._series: dict[str, dict[int, str]] = {}
        self._turn = -1

    def scrape(self, targets: Mapping[tuple[str, str], str]) -> None:
        """Ask every target, (job, instance) -> URL."""
        self._turn += 1
        for (job, instance), url in targets.items():
            own = f'job="{job}",instance="{instance}"'
            try:
                with urllib.request.urlopen(url, timeout=5) as response:
                    text = response.read().decode()
            except OSError:
                self._add(f"up{{{own}}}", "0")
                continue
            self._add(f"up{{{own}}}", "1")
            for name, labels, value in samples(text, self._wanted):
                self._add(f"{name}{{{','.join(filter(None, (labels, own)))}}}", value)

    def _add(self, series: str, value: str) -> None:
        self._series.setdefault(series, {})[self._turn] = f"{float(value):.6g}"

    def written(self) -> dict[str, str]:
        """Series -> values, as promtool reads them: a scrape without the series ends it, as Prometheus has it."""
        return {series: _written(values, self._turn + 1) for series, values in sorted(self._series.items())}


def _written(values: Mapping[int, str], count: int) -> str:
    pieces: list[tuple[str, int]] = []
    for turn in range(count):
        value = values.get(turn) or ("stale" if turn - 1 in values else "_")
        if pieces and pieces[-1][0] == value:
            pieces[-1] = (value, pieces[-1][1] + 1)
        else:
            pieces.append((value, 1))
    return " ".join(_run(value, length) for value, length in pieces)


def _run(value: str, length: int) -> str:
    if length == 1:
        return value
    return f"_x{length}" if value == "_" else f"{value}+0x{length - 1}"


def targets(made: Rig) -> dict[tuple[str, str], str]:
    """What Prometheus would be told to scrape."""
    routers = {
        ("routegen-router", f"router-{number}"): f"http://{status}/metrics"
        for number, status in enumerate(made.router_status)
    }
    return {**routers, ("envoy", "envoy-0"): f"http://{made.admin}/stats/prometheus"}


@contextlib.contextmanager
def clients(url: str) -> Iterator[None]:
    """Send requests all the while, whatever becomes of them."""
    done = threading.Event()

    def send(one: object) -> None:
        request = urllib.request.Request(
            f"{url}/v1/chat/completions", json.dumps(one).encode(), {"content-type": "application/json"}
        )
        with contextlib.suppress(OSError):
            urllib.request.urlopen(request, timeout=10).close()

    def go_on() -> None:
        turn = 0
        while not done.wait(PAUSE):
            # Each by itself: one that an engine never answers must not hold up the others.
            threading.Thread(target=send, args=(ASKED[turn % len(ASKED)],), daemon=True).start()
            turn += 1

    sending = threading.Thread(target=go_on)
    sending.start()
    try:
        yield
    finally:
        done.set()
        sending.join()


async def record(name: str, fault: Fault, folder: Path) -> Path:
    """Run it, and write what was seen."""
    recording = Recording(spoken_of())
    async with rig(2, fault.workers, plan=plan(fault), engine=ENGINE) as made:
        await asyncio.to_thread(fault.before, made)
        with clients(made.url):
            loop = asyncio.get_running_loop()
            began = loop.time()
            for turn in range(CALM + FAULTY):
                await asyncio.sleep(began + turn * fault.every - loop.time())
                await asyncio.to_thread(recording.scrape, targets(made))
                if turn >= CALM:
                    await asyncio.to_thread(fault.strike, made, turn - CALM)
    document = {
        "fault": name,
        "alert": fault.alert,
        "seconds_between_scrapes": fault.every,
        "written_as_seconds": WRITTEN_AS,
        "calm_scrapes": CALM,
        "series": recording.written(),
    }
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(document, sort_keys=False, width=10_000))
    return file
