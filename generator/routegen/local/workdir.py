"""The files of a local gateway, in a private folder that goes when it ends.

``xds/live`` is a symbolic link to the newest generation of routes and clusters. Envoy watches the folder ``xds`` and
reads both files again when the link is replaced by a rename; writing into a generation that is live goes unnoticed.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from routegen.common.files import write_atomically
from routegen.common.text import to_yaml

KEPT: Final = 2
"""Generations that stay on disk: Envoy may still be reading the last but one."""

LONGEST: Final = 70
"""Characters of the folder for temporary files: a Unix socket's whole path has 103 on macOS, 107 on Linux."""


class Workdir:
    """Made at once, readable by this user only."""

    def __init__(self) -> None:
        parent = tempfile.gettempdir()
        if len(parent) > LONGEST:
            parent = "/tmp"  # noqa: S108 - what is made there is private
        self.path = Path(tempfile.mkdtemp(prefix="routegen-", dir=parent))  # mode 0700
        self.bootstrap = self.path / "envoy.yaml"
        self.router_config = self.path / "router.json"
        self.router_socket = self.path / "router.sock"
        self.admin_address = self.path / "admin-address"
        """Written by Envoy: ``host:port``."""
        self.xds = self.path / "xds"
        self.xds.mkdir()
        self._numbers = itertools.count(1)

    def remove(self) -> None:
        """Delete everything."""
        shutil.rmtree(self.path, ignore_errors=True)

    def publish(self, files: Mapping[str, Mapping[str, Any]]) -> str:
        """Make a new generation of ``rds.yaml`` and ``cds.yaml`` live; its version, as Envoy will report it."""
        number = next(self._numbers)
        folder = self.xds / str(number)
        folder.mkdir()
        for name, document in files.items():
            (folder / name).write_text(to_yaml([{"version_info": str(number), **document}]), encoding="utf-8")
        link = self.xds / "next"
        link.symlink_to(folder.name)
        link.replace(self.xds / "live")
        if number > KEPT:
            shutil.rmtree(self.xds / str(number - KEPT))
        return str(number)

    def write_router_config(self, data: bytes) -> None:
        """Replace the router's configuration in one step."""
        write_atomically(self.router_config, data.decode())
