"""Prometheus' own tool, where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool isn't here; Debian and Ubuntu have it in the package prometheus"
)


def promtool(*arguments: str, folder: Path) -> None:
    """Run it there, and fail with what it says."""
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
