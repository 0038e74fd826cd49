"""Memory that a body took is there for the next one; counted in page faults, which no neighbour changes."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

BODIES = """
import resource, sys
from routegen_router import memory

if sys.argv[1] == "kept":
    assert memory.keep_freed()

def hold():
    bodies = [bytes(3 << 20) for _ in range(8)]
    views = [bytearray(body) for body in bodies]

for _ in range(3):
    hold()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    hold()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 20)
"""


def faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", BODIES, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library can't be told")
def test_bodies_find_the_pages_of_those_before_them() -> None:
    assert faults("kept") * 10 < faults("usual")
