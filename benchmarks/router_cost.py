"""What a request costs: the router beside a bare floor and beside Envoy alone, or (``--peers``) beside its peers.

    .venv/bin/python benchmarks/router_cost.py [--peers] [--quick] [--json FILE] [--publish]

CPU time of the processes is counted, not elapsed time, and short rounds of all setups alternate, so that a busy
machine does less harm; it does some all the same, so the load average stands beside the figures. Engines and clients
are a program in Go (``load/``), built at the first call. docs/performance.md has figures and how to read them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import go_programs
import machine
import ours
import peers
import processes
import publish
import report
import rounds
import starting
import variants
from bodies import ENGINES, KB, MANY, MB
from go_programs import MissingError
from setups import Arm, Place, Setup
from summary import compare, summarise

ROUTER_SHAPES = {"plain": rounds.SIZES, "Chinese": (MB,)}
PEER_SHAPES = {"plain": rounds.SIZES, "escaped": (32 * KB, MB), MANY: (32 * KB, MB)}
FEWER = {"plain": (4 * KB, MB, 8 * MB), "escaped": (MB,)}


def main() -> int:
    """Measure and print."""
    options = _options()
    try:
        program = go_programs.load()
    except MissingError as error:
        print(f"The load generator {error}. Nothing was measured.", file=sys.stderr)
        return 1
    wanted: tuple[Setup, ...] = (peers.ALONE, *ours.SETUPS)
    if options.peers:
        wanted += (*ours.MORE, *peers.SETUPS)
        shapes, count = (FEWER, 2) if options.quick else (PEER_SHAPES, 6)
    else:
        shapes, count = (ROUTER_SHAPES, 2 if options.quick else 12)
    if options.variants:
        return _variants(program, options)
    if options.only:
        known = {setup.name: setup for setup in wanted}
        wanted = tuple(known[name] for name in dict.fromkeys((peers.ALONE.name, "floor", *options.only)))
    figures = run(program, wanted, rounds.cells(shapes), options.rounds or count, every_round=options.json)
    if not options.peers:
        figures["start"] = starting.measure(3 if options.quick else 15)
        with tempfile.TemporaryDirectory(prefix="routegen-benchmark-") as scratch:
            figures["rendering"] = starting.rendering(1 if options.quick else 3, Path(scratch))
    print(report.heading(figures), report.peers(figures) if options.peers else report.cost(figures), sep="\n\n")
    if not options.peers:
        print(f"\n{report.start(figures)}\n\n{report.rendering(figures)}")
    if options.publish:
        publish.keep("peers" if options.peers else "router", figures)
    return 0


def _variants(program: Path, options: argparse.Namespace) -> int:
    """What each change to the router or to Envoy's configuration does, at many requests at once."""
    count = options.rounds or (2 if options.quick else 20)
    small = [rounds.Cell(size, "plain", rounds.MANY) for size in (4 * KB, MB)]
    figures = run(program, variants.SETUPS, small, count, every_round=options.json, base=variants.BASE)
    large = [rounds.Cell(8 * MB, "plain", rounds.MANY_HUGE)]  # in fewer processes: each holds some hundred megabytes
    figures["cells"] += run(program, variants.LARGE, large, max(count // 2, 1), every_round=None, base=variants.BASE)[
        "cells"
    ]
    print(report.heading(figures), report.variants(figures), sep="\n\n")
    if options.publish:
        publish.keep("variants", figures)
    return 0


def run(
    program: Path,
    wanted: tuple[Setup, ...],
    cells: list[rounds.Cell],
    count: int,
    *,
    every_round: Path | None,
    base: str | None = None,
) -> dict[str, Any]:
    """Start the setups, measure, and summarise.

    :param every_round: a file for every round's figures.
    :param base: compare closely with this setup, and leave the figures themselves out.
    """
    before = machine.load()
    with tempfile.TemporaryDirectory(prefix="routegen-benchmark-") as scratch, ExitStack() as stack:
        folder = Path(scratch)
        place = Place(engines(program, folder, stack), folder, stack)
        sender = rounds.Sender(program, folder)
        arms, missing = _start(wanted, place, sender)
        kept = [(cell, rounds.measure(sender, arms, cell, count, _tell)) for cell in cells]
    _tell("")
    if every_round is not None:
        told = [
            {"size": cell.size, "shape": cell.shape, "at_once": cell.at_once, "setups": made} for cell, made in kept
        ]
        every_round.write_text(json.dumps(told, indent=1) + "\n")
    return {
        "machine": machine.describe(),
        "load": {"before": before, "after": machine.load()},
        "rounds": count,
        "legend": {setup.name: setup.what for setup in wanted if setup.name in arms},
        "missing": missing,
        "cells": [
            {
                "size": cell.size,
                "shape": cell.shape,
                "at_once": cell.at_once,
                "setups": compare(made, base) if base else summarise(made),
            }
            for cell, made in kept
        ],
    }


def _start(wanted: tuple[Setup, ...], place: Place, sender: rounds.Sender) -> tuple[dict[str, Arm], dict[str, str]]:
    """All setups that can be had here, each seen to route; the others with the reason."""
    arms: dict[str, Arm] = {}
    missing: dict[str, str] = {}
    for setup in wanted:
        try:
            arm = setup.start(place)
        except (MissingError, TimeoutError) as error:
            missing[setup.name] = str(error)
            print(f"{setup.name} is left out: {error}", file=sys.stderr)
            continue
        sender.check(setup, arm)
        arms[setup.name] = arm
    return arms, missing


def engines(program: Path, folder: Path, stack: ExitStack) -> dict[str, int]:
    """Start both engines; their ports."""
    ports = {engine: processes.free_port() for engine in ENGINES}
    log = folder / "engines.log"
    processes.start(stack, [str(program), "engines", *(f"{engine}={port}" for engine, port in ports.items())], log)
    for port in ports.values():
        processes.wait_for(port, log)
    return ports


def _tell(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what a request costs.")
    parser.add_argument(
        "--peers", action="store_true", help="beside whatever else routes by the body, as far as it is here"
    )
    parser.add_argument("--variants", action="store_true", help="the router and Envoy with one thing changed, each")
    parser.add_argument(
        "--quick", action="store_true", help="few rounds: does it run at all, and about how much is it?"
    )
    parser.add_argument(
        "--only", action="append", metavar="SETUP", help="this setup alone, beside Envoy alone and the floor"
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds that count, in place of the usual number")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round's figures there")
    parser.add_argument("--publish", action="store_true", help="put the figures into docs/ and the README")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
