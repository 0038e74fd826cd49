"""Requests a second through one router with one worker and with several, by turns, on the same machine.

    .venv/bin/python benchmarks/worker_rate.py [--direct] [--workers N] [--rounds N] [--size BYTES]

Clients, engines, Envoy (one thread) and the router share the processors, so what is shown is what the whole machine
does, and what of it a request takes; ``--direct`` leaves Envoy and the engines out and asks the workers for decisions.
The load average stands beside it: where others use the machine, only the ratio of rounds that follow each other means
something, and not much.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import go_programs
import machine
import ours
import processes
import rounds
import router_cost
from bodies import ENGINES, KB, chat
from go_programs import MissingError
from setups import Place, Setup

from routegen_router._pb import extproc_pb2 as pb

ROUNDS = 8
SIZE = 32 * KB
DIRECT_REQUESTS = 1600
"""Decisions in a round without Envoy."""


@dataclass(frozen=True)
class Round:
    """What one round showed."""

    rate: float
    """Requests a second."""
    proxy_us: float
    router_us: float
    """CPU microseconds a request."""
    p99_ms: float
    failed: int


def main() -> int:
    """Measure and print."""
    options = _options()
    try:
        program = go_programs.load()
    except MissingError as error:
        print(f"The load generator {error}. Nothing was measured.", file=sys.stderr)
        return 1
    before = machine.load()
    with tempfile.TemporaryDirectory(prefix="routegen-workers-") as scratch, ExitStack() as stack:
        folder = Path(scratch)
        place = Place(router_cost.engines(program, folder, stack), folder, stack)
        make = _direct if options.direct else _through_envoy
        arms = {count: make(program, place, count, options.size) for count in (1, options.workers)}
        shown: dict[int, list[Round]] = {count: [] for count in arms}
        for number in range(options.rounds + 1):
            for count in sorted(arms, reverse=bool(number % 2)):
                one = arms[count]()
                shown[count] += [one] if number else []  # the first of each warms up
    print(", ".join(f"{key} {value}" for key, value in machine.describe().items()))
    print(f"load average before {before[0]}, after {machine.load()[0]}; {options.size} bytes, {rounds.MANY} at once,")
    print(f"{options.rounds} rounds, by turns; {'without Envoy' if options.direct else 'through Envoy'}\n")
    _tell(shown)
    return 0


def _tell(shown: Mapping[int, list[Round]]) -> None:
    for count, told in shown.items():
        rates = [one.rate for one in told]
        proxy, router, p99 = (
            statistics.median(getattr(one, key) for one in told) for key in ("proxy_us", "router_us", "p99_ms")
        )
        workers = "1 worker" if count == 1 else f"{count} workers"
        print(
            f"{workers}: {statistics.median(rates):.0f}/s ({min(rates):.0f} to {max(rates):.0f}), CPU a request:"
            f" Envoy {proxy:.0f} us, router {router:.0f} us, p99 {p99:.1f} ms, failed {sum(one.failed for one in told)}"
        )
    few, many = shown.values()
    ratios = sorted(later.rate / first.rate for first, later in zip(few, many, strict=True))
    print(f"ratio of each pair: median {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")


def _through_envoy(program: Path, place: Place, count: int, size: int) -> Callable[[], Round]:
    sender, cell = rounds.Sender(program, place.folder), rounds.Cell(size, "plain", rounds.MANY)
    name = f"workers-{count}"
    arm = ours.router(place, workers=count, name=name)
    sender.check(Setup(name, name, lambda _: arm), arm)

    def measure() -> Round:
        one = sender.measure(arm, cell)
        return Round(cell.requests / one.seconds, one.proxy_us, one.router_us, one.p99_ms, one.failed)

    return measure


def _direct(program: Path, place: Place, count: int, size: int) -> Callable[[], Round]:
    first, settings = processes.free_ports(count), place.folder / f"direct-{count}.json"
    ours.write_settings(place, f"direct-{count}", [f"127.0.0.1:{first}"], count, settings)
    log = place.folder / f"direct-{count}.log"
    command = [sys.executable, "-m", "routegen_router", "--config", str(settings), "--metrics", ""]
    router = processes.start(place.stack, [*command, "--listen", f"127.0.0.1:{first}"], log)
    for port in range(first, first + count):
        processes.wait_for(port, log)
    messages = [place.folder / f"direct-{part}" for part in ("headers", "body")]
    for file, content in zip(messages, _messages(size), strict=True):
        file.write_bytes(content)
    addresses = ",".join(f"127.0.0.1:{port}" for port in range(first, first + count))
    ask = [str(program), "decide", "-addresses", addresses, "-headers", str(messages[0]), "-body", str(messages[1])]
    ask += ["-at-once", str(rounds.MANY), "-requests", str(DIRECT_REQUESTS)]

    def measure() -> Round:
        before = router.cpu()
        told = json.loads(subprocess.run(ask, capture_output=True, check=True, text=True).stdout)
        spent = (router.cpu() - before) * 1e6 / DIRECT_REQUESTS
        failed = DIRECT_REQUESTS - told["answers"].get("decided", 0)
        return Round(DIRECT_REQUESTS / told["seconds"], 0.0, spent, told["p99_ms"], failed)

    return measure


def _messages(size: int) -> tuple[bytes, bytes]:
    """What Envoy says of a request: its headers, then its whole body."""
    body = chat(size, ENGINES[0], "plain")
    pairs = {
        ":method": "POST",
        ":path": "/v1/chat/completions",
        "content-type": "application/json",
        "content-length": str(len(body)),
        "x-request-id": "5f0c4f5e-3b0a-4a55-9f0e-0d7f0a3c9d11",
    }
    headers = pb.HeaderMap(headers=[pb.HeaderValue(key=key, raw_value=value.encode()) for key, value in pairs.items()])
    first = pb.ProcessingRequest(
        request_headers=pb.HttpHeaders(headers=headers),
        protocol_config=pb.ProtocolConfiguration(request_body_mode=pb.ProcessingMode.BUFFERED),
    )
    second = pb.ProcessingRequest(request_body=pb.HttpBody(body=body, end_of_stream=True))
    return first.SerializeToString(), second.SerializeToString()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Requests a second with one worker and with several.")
    parser.add_argument("--direct", action="store_true", help="ask the workers themselves, without Envoy and engines")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="the several (default: 2)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help="of each (default: %(default)s)")
    parser.add_argument(
        "--size", type=int, default=SIZE, choices=rounds.SIZES, metavar="BYTES", help="of a body (default: %(default)s)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
