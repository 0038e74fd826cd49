"""How fast routegen starts, beside bare Python, and what rendering many backends takes."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "two-engines" / "routes.yaml"
ROUTES = """apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {{name: many}}
spec:
  gateway: {{target: {target}}}
  backends:
"""


MANY = (2, 400, 1000)
"""Backends that are rendered."""
TARGETS = ("envoy", "envoy-gateway")


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """What a command takes, start and end included; medians of rounds in turn."""
    routegen = str(Path(sys.executable).with_name("routegen"))
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "routegen --help": [routegen, "--help"],
        "routegen validate": [routegen, "validate", "-f", str(EXAMPLE)],
    }
    return _medians(commands, rounds)


def rendering(rounds: int, folder: Path) -> dict[str, dict[str, float]]:
    """The same of ``routegen render`` with few and with many backends."""
    routegen = str(Path(sys.executable).with_name("routegen"))
    commands = {}
    for target in TARGETS:
        for many in MANY:
            backends = "".join(
                f"    b{n}: {{endpoints: ['e{n}.example.com:8000'], ownedBy: vllm}}\n" for n in range(many)
            )
            routes = folder / f"{target}-{many}.yaml"
            routes.write_text(ROUTES.format(target=target) + backends)
            command = [
                routegen,
                "render",
                "-f",
                str(routes),
                "-o",
                str(folder / f"{target}-{many}"),
                "--no-envoy-check",
            ]
            commands[f"{target}, {many} backends"] = command
    return _medians(commands, rounds)


def _medians(commands: dict[str, list[str]], rounds: int) -> dict[str, dict[str, float]]:
    taken: dict[str, list[tuple[float, float, float]]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            taken[name].append(_run(command))
    units = ("elapsed_ms", "cpu_ms", "peak_mb")
    return {
        name: {
            unit: round(statistics.median(column), 1)
            for unit, column in zip(units, zip(*runs, strict=True), strict=True)
        }
        for name, runs in taken.items()
    }


def _run(command: list[str]) -> tuple[float, float, float]:
    told = subprocess.run([sys.executable, "-IS", "-c", _WATCH, *command], check=True, capture_output=True, text=True)
    elapsed, cpu, peak = map(float, told.stdout.split())
    return elapsed * 1000, cpu * 1000, peak / 1024


_WATCH = """
import os, subprocess, sys, time
began = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
process.returncode = os.waitstatus_to_exitcode(status)
if process.returncode:
    sys.exit(f"{sys.argv[1:]} ended with {process.returncode}")
print(time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
"""
"""Runs a command. A process of its own, because a child's peak of memory begins with what its parent had."""
