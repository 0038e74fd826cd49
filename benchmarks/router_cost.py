"""What a request costs in the router, beside a bare floor in the same run; its memory; and how fast routegen starts.

    .venv/bin/python benchmarks/router_cost.py [--quick] [--json FILE]

CPU time of the router's process is counted, not elapsed time, so that a busy machine does less harm; short rounds of
the floor and of the router alternate, and medians are compared. docs/performance.md has figures and how to read them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from bodies import BODIES, MB
from gateways import Arm, arms

REPOSITORY = Path(__file__).resolve().parents[1]
CONCURRENCY = 8
HELD = 32
"""Bodies of 1 MB at the same time, for the peak of memory."""
TARGETS = {"ratio at 1 KB": 1.3, "milliseconds a MB above the floor": 1.0, "peak megabytes": 120.0}


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the router's cost beside a bare floor.")
    parser.add_argument("--quick", action="store_true", help="a tenth of the requests: does it run at all?")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    options = parser.parse_args()
    share = 10 if options.quick else 1
    runner, port = await engine()
    with tempfile.TemporaryDirectory(prefix="routegen-bench-") as scratch, arms(port, Path(scratch)) as (floor, router):
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
            cost = {
                name: await compare(session, floor, router, body, 200 if len(body) < MB else 30, 40 // share)
                for name, body in BODIES.items()
            }
    with tempfile.TemporaryDirectory(prefix="routegen-bench-") as scratch, arms(port, Path(scratch)) as fresh:
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
            memory = {arm.name: await peak(session, arm, rounds=max(20 // share, 2)) for arm in fresh}
    await runner.cleanup()
    figures = {"cost": cost, "memory": memory, "start": start(max(20 // share, 3))}
    show(figures)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


async def engine() -> tuple[web.AppRunner, int]:
    """An engine that reads the body and says ok."""

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(text="ok")

    app = web.Application(client_max_size=64 * MB)
    app.router.add_post("/{path:.*}", answer)
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner, runner.addresses[0][1]


async def send(session: aiohttp.ClientSession, url: str, body: bytes, requests: int, concurrency: int) -> None:
    """Send requests from ``concurrency`` clients, each after its last one's answer."""
    left = iter(range(requests))

    async def client() -> None:
        for _ in left:
            async with session.post(url, data=body, headers={"content-type": "application/json"}) as response:
                if (response.status, await response.text()) != (200, "ok"):
                    raise RuntimeError(f"{url} answered {response.status}")

    await asyncio.gather(*(client() for _ in range(concurrency)))


async def compare(
    session: aiohttp.ClientSession, floor: Arm, router: Arm, body: bytes, requests: int, rounds: int
) -> dict[str, Any]:
    """CPU milliseconds a request of both, by rounds that alternate; the first of each is not counted."""
    spent: dict[str, list[float]] = {"floor": [], "router": []}
    for number in range(rounds + 1):
        for arm in (floor, router) if number % 2 else (router, floor):
            before = arm.cpu()
            await send(session, arm.url, body, requests, CONCURRENCY)
            spent[arm.name].append((arm.cpu() - before) / requests * 1000)
    medians = {name: statistics.median(values[1:]) for name, values in spent.items()}
    return {
        "requests": requests,
        "rounds": {name: values[1:] for name, values in spent.items()},
        "median_ms": medians,
        "ratio": medians["router"] / medians["floor"],
        "above_ms": medians["router"] - medians["floor"],
        "above_ms_a_mb": (medians["router"] - medians["floor"]) / (len(body) / MB),
    }


async def peak(session: aiohttp.ClientSession, arm: Arm, rounds: int) -> dict[str, float]:
    """Resident megabytes: before, and at most while 32 bodies of 1 MB come at the same time, again and again."""
    arm.forget_peak()
    before = arm.memory("VmRSS")
    await send(session, arm.url, BODIES["1 MB"], HELD * rounds, HELD)
    return {"before_mb": before, "peak_mb": arm.memory("VmHWM")}


def start(rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds to start and end, of bare Python and of routegen; medians of alternating rounds."""
    routegen = str(Path(sys.executable).with_name("routegen"))
    example = str(REPOSITORY / "examples" / "two-engines" / "routes.yaml")
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "routegen --help": [routegen, "--help"],
        "routegen validate": [routegen, "validate", "-f", example],
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            taken[name].append(_run(command))
    medians = {name: [statistics.median(column) for column in zip(*runs, strict=True)] for name, runs in taken.items()}
    return {name: {"elapsed_ms": elapsed, "cpu_ms": cpu} for name, (elapsed, cpu) in medians.items()}


def _run(command: list[str]) -> tuple[float, float]:
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return (time.perf_counter() - began) * 1000, (usage.ru_utime + usage.ru_stime) * 1000


def show(figures: dict[str, Any]) -> None:
    """Print the tables, and the targets beside what was measured."""
    print(f"{'CPU a request':<16}{'floor':>10}{'router':>10}{'ratio':>8}{'above the floor':>18}")
    for name, cost in figures["cost"].items():
        floor, router = cost["median_ms"]["floor"], cost["median_ms"]["router"]
        print(f"{name:<16}{floor:>7.3f} ms{router:>7.3f} ms{cost['ratio']:>8.2f}{cost['above_ms']:>15.3f} ms")
    print(f"\n{'Resident':<16}{'before':>10}{f'peak, {HELD} bodies of 1 MB':>28}")
    for name, memory in figures["memory"].items():
        print(f"{name:<16}{memory['before_mb']:>7.0f} MB{memory['peak_mb']:>25.0f} MB")
    print(f"\n{'Start':<20}{'elapsed':>10}{'CPU':>10}")
    for name, taken in figures["start"].items():
        print(f"{name:<20}{taken['elapsed_ms']:>7.0f} ms{taken['cpu_ms']:>7.0f} ms")
    measured = {
        "ratio at 1 KB": figures["cost"]["1 KB"]["ratio"],
        "milliseconds a MB above the floor": figures["cost"]["1 MB"]["above_ms_a_mb"],
        "peak megabytes": figures["memory"]["router"]["peak_mb"],
    }
    print("\nTargets")
    for name, target in TARGETS.items():
        verdict = "met" if measured[name] <= target else "MISSED"
        print(f"{name:<36}{measured[name]:>8.2f}  at most {target:g}: {verdict}")


if __name__ == "__main__":
    asyncio.run(main())
