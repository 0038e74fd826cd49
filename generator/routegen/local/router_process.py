"""The router as a child process."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from signal import Signals
from typing import Any, Final

from routegen.common.problems import UserError
from routegen.emit.router_config import router_config
from routegen.local import http
from routegen.local.children import Child
from routegen.local.workdir import Workdir
from routegen.plan import Plan
from routegen_router.config import dump
from routegen_router.live import BACK, LOADED, REFUSED
from routegen_router.status import RegistryStatus, read_status

TIMEOUT: Final = 30.0
"""Seconds that starting or reloading may take."""


class RouterProcess:
    """Listens on a socket in the work folder; what it does is read from its log."""

    def __init__(self, files: Workdir, on_trouble: Callable[[str], None]) -> None:
        """Prepare.

        :param on_trouble: gets a sentence where the router logs an error.
        """
        self.address = f"unix:{files.router_socket}"
        self.status = ""
        """``host:port`` of its metrics and registry, once started."""
        self._files, self._on_trouble = files, on_trouble
        self._said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._child: Child | None = None

    async def start(self) -> Child:
        """Start it with the configuration that lies in the work folder."""
        command = [
            *(sys.executable, "-m", "routegen_router"),
            *("--config", str(self._files.router_config)),
            *("--listen", self.address),
            *("--metrics", "127.0.0.1:0"),
            *("--drain-seconds", "0", "--workers", "1"),
        ]
        self._child = await Child.start("the router", command, stdout=lambda _line: None, stderr=self._log)
        return self._child

    async def listening(self) -> None:
        """Wait until it listens."""
        self.status = (await self._says("listening"))["metrics"]

    async def configure(self, config: bytes) -> None:
        """Replace its configuration and wait until it is in force.

        :raises UserError: the router refuses it, or doesn't say that it took it; the one before lies in its file again.
        """
        before = self._files.router_config.read_bytes()
        if config == before:
            return
        try:
            await self._take(config, LOADED)
        except UserError:
            await self._take(before, LOADED, BACK)
            raise

    async def _take(self, config: bytes, *answers: str) -> None:
        assert self._child is not None  # start() comes first
        while not self._said.empty():  # what it said before is no answer
            self._said.get_nowait()
        self._files.write_router_config(config)
        self._child.signal(Signals.SIGHUP)  # look now, not within the next second
        await self._says(*answers)

    async def registry(self) -> RegistryStatus:
        """What it knows of the engines.

        :raises OSError: it doesn't answer.
        """
        _, body = await http.get(self.status, "/registry")
        return read_status(body)

    async def _says(self, *messages: str) -> dict[str, Any]:
        """Wait for one of these lines of its log."""
        try:
            async with asyncio.timeout(TIMEOUT):
                while True:
                    said = await self._said.get()
                    if said["message"] in messages:
                        return said
                    if said["message"] == REFUSED:
                        raise UserError(f"the router refuses its configuration: {said['problem']}")
        except TimeoutError:
            raise UserError(f"the router does not say {messages[0]!r} within {TIMEOUT:g} s") from None

    def _log(self, line: str) -> bool:
        """Take a line of its log; decisions are not worth showing when it dies."""
        try:
            entry = json.loads(line)
            level, logger, message = entry["level"], entry["logger"], entry["message"]
        except (ValueError, KeyError, TypeError):
            return True
        if logger in {"routegen.server", "routegen.config"}:
            self._said.put_nowait(entry)
        if level == "error":
            more = f": {entry['problem']}" if "problem" in entry and message != REFUSED else ""  # configure() tells it
            self._on_trouble(f"router: {message}{more}")
        return bool(level != "info")


def config_of(plan: Plan) -> bytes:
    """The router's configuration file for ``plan``."""
    return dump(router_config(plan))
