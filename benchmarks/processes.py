"""Processes that a benchmark starts and watches: their CPU time and their memory. Linux only."""

from __future__ import annotations

import contextlib
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
    """A running process, and those that it has started."""

    pid: int

    def cpu(self) -> float:
        """CPU seconds so far, all threads, user and system, in nanosecond steps.

        The clock of another process, numbered as clock_getcpuclockid(3) does on Linux.
        """
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in self._tree())

    def faults(self) -> int:
        """Pages that the kernel had to provide so far."""
        return sum(int(_stat(pid)[7]) for pid in self._tree())

    def forget_peak(self) -> None:
        """Let :meth:`peak` start anew."""
        for pid in self._tree():
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def peak(self) -> float:
        """Megabytes resident at most, each process by itself."""
        return sum(_memory(pid) for pid in self._tree())

    def _tree(self) -> list[int]:
        found = [self.pid]
        parents = _parents()
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found


def _parents() -> dict[int, int]:
    """Every process, and who started it."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        pid = int(entry.parent.name)
        with contextlib.suppress(OSError):  # it has just ended
            found[pid] = int(_stat(pid)[1])
    return found


def _stat(pid: int) -> list[str]:
    """proc_pid_stat(5) from the state on, which is the third field there."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _memory(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise LookupError("VmHWM")


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


def free_ports(count: int) -> int:
    """The first of so many ports in a row that nobody listens on."""
    while True:
        first = free_port()
        with ExitStack() as taken, contextlib.suppress(OSError, OverflowError):
            for port in range(first, first + count):
                taken.enter_context(socket.create_server(("127.0.0.1", port)))
            return first


def wait_for(where: int | str, log: Path) -> None:
    """Wait until somebody listens on a port of this machine or at a Unix socket's path.

    :raises TimeoutError: nobody does; with the end of ``log``.
    """
    ends = time.monotonic() + PATIENCE
    while True:
        try:
            if isinstance(where, int):
                socket.create_connection(("127.0.0.1", where), 1).close()
            else:
                with socket.socket(socket.AF_UNIX) as one:
                    one.connect(where)
        except OSError:
            if time.monotonic() > ends:
                raise TimeoutError(f"nothing listens on {where}; {log.name} ends: {log.read_text()[-500:]}") from None
            time.sleep(0.05)
        else:
            return
