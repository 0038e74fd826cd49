"""Short rounds of all setups in turn, so that what else the machine does hits all of them alike."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bodies import ENGINES, KB, MB, chat
from setups import Arm, Setup

SIZES = (256, 4 * KB, 32 * KB, MB, 8 * MB)
_REQUESTS = {256: 480, 4 * KB: 480, 32 * KB: 320, MB: 64, 8 * MB: 16}
"""In a round, at 32 at once."""
MANY, MANY_HUGE, HUGE = 32, 8, 8 * MB
"""Clients at once; fewer where bodies are huge."""


class RoutesWronglyError(Exception):
    """A setup doesn't do what it is measured for."""


@dataclass(frozen=True)
class Cell:
    """One kind of load."""

    size: int
    shape: str
    at_once: int

    @property
    def requests(self) -> int:
        """In a round."""
        many = _REQUESTS[self.size]
        return many if self.at_once > 1 else max(4, many // 4)


@dataclass(frozen=True)
class Sample:
    """What one round of one setup cost."""

    proxy_us: float
    """CPU microseconds a request of the processes that the client talks to."""
    router_us: float
    """CPU microseconds a request of those that the proxy asks."""
    router_faults: float
    """Pages a request that the kernel had to provide to those."""
    p50_ms: float
    p99_ms: float
    seconds: float
    """That the round took."""
    failed: int
    """Requests that weren't answered with 200 by the right engine."""
    answers: Mapping[str, int]


def cells(shapes: Mapping[str, Sequence[int]]) -> list[Cell]:
    """Every shape in its sizes, one at a time and many at once."""
    return [
        Cell(size, shape, at_once)
        for shape, sizes in shapes.items()
        for size in sizes
        for at_once in (1, MANY_HUGE if size >= HUGE else MANY)
    ]


class Sender:
    """Sends bodies with the load generator."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._program, self._folder = program, folder

    def check(self, setup: Setup, arm: Arm) -> None:
        """See that it routes, both ways if it chooses.

        :raises RoutesWronglyError: it doesn't.
        """
        for engine in ENGINES if setup.chooses else ENGINES[:1]:
            body = self._body(4 * KB, "plain", engine)
            told = self._send(arm, body, 1, 5)
            if told["models"] != {engine: 5}:
                raise RoutesWronglyError(f"{setup.name}: asked for {engine} five times, got {told}")

    def measure(self, arm: Arm, cell: Cell) -> Sample:
        """Run a round."""
        body = self._body(cell.size, cell.shape, ENGINES[0])
        proxy, router = (sum(one.cpu() for one in part) for part in (arm.proxy, arm.router))
        faults = sum(one.faults() for one in arm.router)
        told = self._send(arm, body, cell.at_once, cell.requests)
        proxy, router = (
            sum(one.cpu() for one in part) - before for part, before in ((arm.proxy, proxy), (arm.router, router))
        )
        each = 1e6 / cell.requests
        faults = sum(one.faults() for one in arm.router) - faults
        good = told["models"].get(ENGINES[0], 0)
        return Sample(
            proxy * each,
            router * each,
            faults / cell.requests,
            told["p50_ms"],
            told["p99_ms"],
            told["seconds"],
            cell.requests - good,
            told["answers"],
        )

    def _body(self, size: int, shape: str, engine: str) -> Path:
        path = self._folder / f"{size}-{shape.replace(' ', '-')}-{engine}.json"
        if not path.exists():
            path.write_bytes(chat(size, engine, shape))
        return path

    def _send(self, arm: Arm, body: Path, at_once: int, requests: int) -> dict[str, Any]:
        command = [str(self._program), "send", "-url", arm.url, "-body", str(body)]
        command += ["-at-once", str(at_once), "-requests", str(requests)]
        told: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        return told


def measure(
    sender: Sender, arms: Mapping[str, Arm], cell: Cell, rounds: int, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Rounds of one cell; the first of each setup is not counted, and a setup that fails in it is left out.

    :returns: setup -> ``{"samples": [Sample as dict, ...], "peak_mb": {"proxy", "router"}}``; where it failed, the
        failing sample alone and ``"failed": True``.
    """
    made: dict[str, Any] = {}
    going = dict(arms)
    for name, arm in arms.items():
        for process in (*arm.proxy, *arm.router):
            process.forget_peak()
        first = sender.measure(arm, cell)
        if first.failed:
            made[name] = {"failed": True, "samples": [asdict(first)]}
            del going[name]
    samples: dict[str, list[Sample]] = {name: [] for name in going}
    for number in range(rounds):
        order = list(going)
        shift = number % len(order)
        for name in order[shift:] + order[:shift]:
            samples[name].append(sender.measure(going[name], cell))
        tell(f"{cell.size} bytes {cell.shape}, {cell.at_once} at once: round {number + 1} of {rounds}")
    for name, arm in going.items():
        peak = {
            part: sum(one.peak() for one in processes)
            for part, processes in (("proxy", arm.proxy), ("router", arm.router))
        }
        made[name] = {"failed": False, "samples": [asdict(one) for one in samples[name]], "peak_mb": peak}
    return made
