"""Requests a second through one router with one worker and with several, by turns, on the same machine.

    .venv/bin/python benchmarks/worker_rate.py [--workers N] [--rounds N] [--size BYTES]

Clients, engines, Envoy (one thread) and the router share the processors, so what is shown is what the whole machine
does, and what of it a request takes. The load average stands beside it: where others use the machine, only the ratio of
rounds that follow each other means something.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import go_programs
import machine
import ours
import rounds
import router_cost
from bodies import ENGINES, KB
from go_programs import MissingError
from setups import Arm, Place, Setup

SHOWN = ("proxy_us", "router_us", "p99_ms")
ROUNDS = 8
SIZE = 32 * KB


def main() -> int:
    """Measure and print."""
    options = _options()
    try:
        program = go_programs.load()
    except MissingError as error:
        print(f"The load generator {error}. Nothing was measured.", file=sys.stderr)
        return 1
    cell = rounds.Cell(options.size, "plain", rounds.MANY)
    before = machine.load()
    with tempfile.TemporaryDirectory(prefix="routegen-workers-") as scratch, ExitStack() as stack:
        folder = Path(scratch)
        place = Place(router_cost.engines(program, folder, stack), folder, stack)
        sender = rounds.Sender(program, folder)
        arms = {}
        for count in (1, options.workers):
            name = f"{count} worker{'s' * (count > 1)}"
            arms[name] = ours.router(place, workers=count, name=f"workers-{count}")
            sender.check(Setup(name, name, _started), arms[name])
        measured = rounds.measure(sender, arms, cell, options.rounds, lambda _: None)
    told = machine.describe()
    print(", ".join(f"{key} {value}" for key, value in told.items()))
    print(f"load average before {before[0]}, after {machine.load()[0]}; {options.size} bytes, {rounds.MANY} clients,")
    print(f"{options.rounds} rounds of {cell.requests} requests each, by turns; to {ENGINES[0]} and {ENGINES[1]}\n")
    rates = {name: [cell.requests / one["seconds"] for one in told["samples"]] for name, told in measured.items()}
    for name, told in measured.items():
        middle = {key: statistics.median(one[key] for one in told["samples"]) for key in SHOWN}
        print(
            f"{name}: {statistics.median(rates[name]):.0f}/s ({min(rates[name]):.0f} to {max(rates[name]):.0f}),"
            f" CPU a request: Envoy {middle['proxy_us']:.0f} us, router {middle['router_us']:.0f} us,"
            f" p99 {middle['p99_ms']:.1f} ms, failed {sum(one['failed'] for one in told['samples'])}"
        )
    one, several = rates.values()
    ratios = sorted(later / first for first, later in zip(one, several, strict=True))
    print(f"ratio of each pair: median {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    return 0


def _started(_: Place) -> Arm:
    raise AssertionError("it is there already")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Requests a second with one worker and with several.")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="the several (default: 2)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help="of each (default: %(default)s)")
    parser.add_argument(
        "--size", type=int, default=SIZE, choices=rounds.SIZES, metavar="BYTES", help="of a body (default: %(default)s)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
