"""Fresh virtual environments, filled by this one's pip: to give each a pip of its own takes seconds."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path


def empty_environment(folder: Path) -> Path:
    """Make a virtual environment without any package; its Python."""
    venv.create(folder)
    return folder / "bin" / "python"


def pip(python: Path, *arguments: str) -> str:
    """Run pip for the environment of ``python``; what it prints."""
    command = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    return subprocess.run([*command, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout
