"""Mock engines in processes of their own, for tests of the bench's command."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def engines_with(*options: str) -> Iterator[str]:
    """A mock engine in a process of its own; its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "routegen.mock_engine", "--port", "0", *options], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()
