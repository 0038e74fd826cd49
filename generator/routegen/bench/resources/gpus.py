"""The GPUs of the machine that the client runs on, from NVIDIA's ``nvidia-smi``."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from typing import Final

from .sampler import Reading

_FIGURES: Final = {
    "utilization.gpu": ("gpu_percent", 1.0),
    "memory.used": ("memory_bytes", float(1 << 20)),
    "power.draw": ("power_watts", 1.0),
    "temperature.gpu": ("temperature_celsius", 1.0),
    "clocks.sm": ("sm_clock_megahertz", 1.0),
}
"""nvidia-smi's name -> ours, and what one of its units is in ours."""

_TIMEOUT: Final = 5.0


class Gpus:
    """Every GPU that nvidia-smi shows."""

    def read(self) -> Iterator[Reading]:
        """A reading a GPU; figures that a GPU doesn't have (``[N/A]``) are left out."""
        program = shutil.which("nvidia-smi")
        if program is None:
            yield Reading("gpu", "", absent="there is no nvidia-smi on the client's machine")
            return
        query = ",".join(("index", "name", *_FIGURES))
        try:
            answer = subprocess.run(  # noqa: S603 - found on the user's own PATH
                [program, f"--query-gpu={query}", "--format=csv,noheader,nounits"],
                capture_output=True,
                text=True,
                timeout=_TIMEOUT,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            yield Reading("gpu", "", absent=f"nvidia-smi gives no answer ({type(error).__name__})")
            return
        if answer.returncode:
            lines = (answer.stdout + answer.stderr).strip().splitlines() or ["no reason given"]
            yield Reading("gpu", "", absent=f"nvidia-smi failed with {answer.returncode}: {lines[0]}")
            return
        for line in answer.stdout.splitlines():
            index, name, *cells = [cell.strip() for cell in line.split(",")]
            yield Reading("gpu", f"{index} {name}", dict(_values(cells)))


def _values(cells: list[str]) -> Iterator[tuple[str, float]]:
    for cell, (name, factor) in zip(cells, _FIGURES.values(), strict=False):
        try:
            yield name, float(cell) * factor
        except ValueError:  # [N/A], [Not Supported]
            continue
