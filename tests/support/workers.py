"""A router's worker processes, as the system knows them."""

from __future__ import annotations

import contextlib
from pathlib import Path

from support.router import RouterProcess, wait_for


def children(pid: int, module: str) -> list[int]:
    """The processes that ``pid`` has started to run this module, in the order of their ids."""
    found = []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and module in (folder / "cmdline").read_text().split("\0"):
                found.append(int(folder.name))
    return sorted(found)


def workers(router: RouterProcess) -> list[int]:
    """Ids of a router's workers."""
    return children(router.process.pid, "routegen_router.worker")


def at(address: str, pids: list[int]) -> int:
    """Which of these processes listens on ``127.0.0.1:port``."""
    wanted = f"{int(address.rpartition(':')[2]):04X}"
    tables = [Path(f"/proc/net/{table}").read_text() for table in ("tcp", "tcp6")]
    lines = [line.split() for table in tables for line in table.splitlines()[1:]]
    [inode] = {line[9] for line in lines if line[1].endswith(f":{wanted}") and line[3] == "0A"}
    for pid in pids:
        with contextlib.suppress(OSError):
            if any(link.readlink().name == f"socket:[{inode}]" for link in Path(f"/proc/{pid}/fd").iterdir()):
                return pid
    raise AssertionError(f"none of {pids} listens on {address}")


def gone(*pids: int) -> None:
    """Wait until these processes have ended."""
    wait_for(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() and _runs(pid) for pid in pids), f"{pids} to end")


def _runs(pid: int) -> bool:
    """Not so of one that has ended and nobody has asked how."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
