"""What the C library does with memory that was given back: keep it for the next body.

glibc returns what is free at the end of its heap to the system as soon as it is more than some megabytes, and takes
large pieces from the system each time. The next long body then meets fresh pages, each of which the kernel has to
clear and map when it is first written to: up to four hundred a megabyte, a seventh to a third of what reading it costs.
"""

from __future__ import annotations

import ctypes
from typing import Final

KEPT: Final = 64 * 1024 * 1024
"""Bytes that may stay free at the end of the heap; more goes back to the system."""
MAPPED: Final = 32 * 1024 * 1024
"""Longer pieces are taken from the system by themselves, and go back at once; glibc takes no larger figure."""

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
"""``M_TRIM_THRESHOLD`` and ``M_MMAP_THRESHOLD`` of mallopt(3)."""


def keep_freed() -> bool:
    """Tell the C library of this process; whether it is one that can be told (glibc)."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return all(mallopt(which, size) == 1 for which, size in ((_MMAP_THRESHOLD, MAPPED), (_TRIM_THRESHOLD, KEPT)))
