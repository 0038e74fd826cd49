"""The measuring process itself: a client without CPU to spare measures itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from .sampler import Reading

_USER_TIME: Final = 13
"""The place of ``utime`` in /proc/PID/stat, counted from 0; ``stime`` follows (proc_pid_stat(5))."""
_PAGES: Final = 23
"""The place of ``rss``."""


class ClientProcess:
    """CPU and memory of one process, from Linux' /proc."""

    def __init__(self, pid: int) -> None:
        self._file = Path(f"/proc/{pid}/stat")

    def read(self) -> Iterator[Reading]:
        """One reading; nothing once the process is gone."""
        if not Path("/proc/self/stat").exists():
            yield Reading("client", "", absent="this system has no /proc")
            return
        try:
            # the second field, the command's name, may hold spaces; what follows it can't
            fields = ["", "", *self._file.read_text(encoding="utf-8").rpartition(")")[2].split()]
        except OSError:
            return
        ticks = int(fields[_USER_TIME]) + int(fields[_USER_TIME + 1])
        values = {
            "cpu_seconds_total": ticks / os.sysconf("SC_CLK_TCK"),
            "memory_bytes": float(int(fields[_PAGES]) * os.sysconf("SC_PAGE_SIZE")),
        }
        yield Reading("client", "measuring process", values)
