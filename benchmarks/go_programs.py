"""The benchmarks' Go programs, built from source once and kept under .tools/."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOOLS = HERE.parent / ".tools" / "benchmarks"
BBR = "sigs.k8s.io/gateway-api-inference-extension"
BBR_VERSION = "v1.5.0"


class MissingError(Exception):
    """Something that a benchmark needs isn't here; the text says what, and how to get it."""


def load() -> Path:
    """The load generator and the engines (``load/``).

    :raises MissingError: there is no Go.
    """
    sources = sorted((HERE / "load").iterdir())
    digest = hashlib.sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    return _built(TOOLS / f"load-{digest}", HERE / "load", ".")


def bbr() -> Path:
    """Body-based routing of the Gateway API Inference Extension, from Go's module proxy.

    :raises MissingError: there is no Go, or the module can't be had.
    """
    return _built(TOOLS / f"bbr-{BBR_VERSION}", HERE / "bbr", f"{BBR}/cmd/bbr")


def _built(program: Path, module: Path, package: str) -> Path:
    if program.exists():
        return program
    go = shutil.which("go")
    if go is None:
        raise MissingError("needs Go 1.25 or newer to build it: https://go.dev/dl, or your system's package golang")
    program.parent.mkdir(parents=True, exist_ok=True)
    print(f"building {program.name} (once)", flush=True)
    made = program.with_name(program.name + ".new")
    command = [go, "build", "-mod=readonly", "-o", str(made), package]
    built = subprocess.run(command, cwd=module, capture_output=True, text=True, check=False)
    if built.returncode != 0:
        raise MissingError(f"go build {package} failed: {built.stderr.strip()[-300:]}")
    return made.rename(program)
