"""Processes that a benchmark starts and watches: their CPU time and their memory. Linux only."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 20.0
"""Seconds until a process that doesn't listen is given up."""


@dataclass(frozen=True)
class Watched:
    """A running process."""

    pid: int

    def cpu(self) -> float:
        """CPU seconds so far, all threads, user and system, its children's too, in nanosecond steps.

        The clock of another process, numbered as clock_getcpuclockid(3) does on Linux.
        """
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in self._all())

    def forget_peak(self) -> None:
        """Let :meth:`peak` start anew."""
        for pid in self._all():
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def peak(self) -> float:
        """Megabytes resident at most; its children's most is added, whenever that was."""
        return self._memory("VmHWM")

    def resident(self) -> float:
        """Megabytes resident now."""
        return self._memory("VmRSS")

    def _all(self) -> list[int]:
        """The process and its children, such as the router's readers."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return [self.pid, *(int(child) for task in tasks for child in (task / "children").read_text().split())]

    def _memory(self, field: str) -> float:
        lines = [line for pid in self._all() for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
        found = [int(line.split()[1]) for line in lines if line.startswith(field + ":")]
        if not found:
            raise LookupError(field)
        return sum(found) / 1024


def start(stack: ExitStack, command: list[str], log: Path, env: Mapping[str, str] | None = None) -> Watched:
    """Start a process that ends with ``stack``."""
    output = stack.enter_context(log.open("wb"))
    process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **(env or {})})
    stack.callback(process.wait)
    stack.callback(process.kill)
    return Watched(process.pid)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def wait_for(port: int, log: Path) -> None:
    """Wait until somebody listens.

    :raises TimeoutError: nobody does; with the end of ``log``.
    """
    ends = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > ends:
                raise TimeoutError(f"nothing listens on {port}; {log.name} ends: {log.read_text()[-500:]}") from None
            time.sleep(0.05)
        else:
            return
