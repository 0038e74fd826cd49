"""How many processors this process may use: what its container allows, and no guess where there is no limit.

The kernel's documentation says what the files mean: ``cpu.max`` in admin-guide/cgroup-v2, ``cpu.cfs_quota_us`` in
scheduler/sched-bwc.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

CGROUPS: Final = Path("/sys/fs/cgroup")
OWN: Final = Path("/proc/self/cgroup")


def allowed() -> int:
    """Whole processors, one at least; one where nothing limits them."""
    quota = limit()
    if quota is None:
        return 1
    with contextlib.suppress(AttributeError):  # only Linux and some others have it
        quota = min(quota, len(os.sched_getaffinity(0)))
    return max(int(quota), 1)


def limit(mounted: Path = CGROUPS, own: Path = OWN) -> float | None:
    """The lowest limit of this process's control groups, in processors; ``None``: there is none.

    :param mounted: where the control groups' file system is.
    :param own: the file that says which groups are this process's.
    """
    found = [share for folder in _folders(mounted, own) if (share := _second(folder) or _first(folder)) is not None]
    return min(found, default=None)


def _folders(mounted: Path, own: Path) -> Iterator[Path]:
    """The folders of its groups and all above them; in a container its own is mostly mounted as the topmost one."""
    for line in (_text(own) or "0::/").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = mounted / "cpu" if controllers else mounted
        group = top / path.lstrip("/")
        yield group
        yield from (folder for folder in group.parents if folder.is_relative_to(top))


def _second(folder: Path) -> float | None:
    """By cgroup v2: ``200000 100000``, or ``max 100000``."""
    quota, _, period = (_text(folder / "cpu.max") or "").partition(" ")
    return int(quota) / int(period) if quota.isdecimal() and period.strip().isdecimal() else None


def _first(folder: Path) -> float | None:
    """By cgroup v1: microseconds of a period; -1 is no limit."""
    quota, period = (_text(folder / f"cpu.cfs_{name}_us") or "" for name in ("quota", "period"))
    return int(quota) / int(period) if quota.strip().isdecimal() and period.strip().isdecimal() else None


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None
