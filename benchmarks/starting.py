"""How fast routegen starts, beside bare Python."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "two-engines" / "routes.yaml"


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds to start and end, of bare Python and of routegen; medians of alternating rounds."""
    routegen = str(Path(sys.executable).with_name("routegen"))
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "routegen --help": [routegen, "--help"],
        "routegen validate": [routegen, "validate", "-f", str(EXAMPLE)],
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            taken[name].append(_run(command))
    medians = {name: [statistics.median(column) for column in zip(*runs, strict=True)] for name, runs in taken.items()}
    return {
        name: {"elapsed_ms": round(elapsed, 1), "cpu_ms": round(cpu, 1)} for name, (elapsed, cpu) in medians.items()
    }


def _run(command: list[str]) -> tuple[float, float]:
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return (time.perf_counter() - began) * 1000, (usage.ru_utime + usage.ru_stime) * 1000
