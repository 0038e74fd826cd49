"""Whether an engine's address takes connections: asked every second, by nothing but a connection.

It costs an engine a fraction of a millisecond and no log line, so every router can look for itself.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Sequence
from typing import Final

from .fetch import PollError, address, no_connection

TIMEOUT: Final = 1.0
"""Seconds that a connection may take."""
RESOLVED: Final = 15.0
"""Seconds that a name's addresses are used for."""
AGAIN: Final = 5.0
"""Seconds between two questions to DNS where a connection, or the question before, failed."""


class Door:
    """The addresses of one backend's engine. Lives on one event loop."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._places = [_Place(url) for url in urls]

    def urls(self) -> list[str]:
        """All that can be asked, the one that last took a connection first."""
        return [place.url for place in self._places]

    async def look(self) -> PollError | None:
        """Connect to the first address that takes it, and leave; why none does."""
        errors = []
        for place in tuple(self._places):
            error = await place.connect()
            if error is None:
                self._places.remove(place)
                self._places.insert(0, place)
                return None
            errors.append(error)
        # Only where every address refuses is it sure that nobody is there.
        return next((error for error in errors if error.kind != "refused"), errors[0])


class _Place:
    """One host and port."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._host, self._port = address(url)
        self._resolved: list[tuple[str, int]] = []
        self._unresolved: OSError | None = None
        self._until = 0.0

    async def connect(self) -> PollError | None:
        try:
            async with asyncio.timeout(TIMEOUT):
                await self._try()
        except (TimeoutError, OSError) as error:
            self._until = min(self._until, time.monotonic() + AGAIN)
            return no_connection(error)
        return None

    async def _try(self) -> None:
        """Connect to any of the host's addresses.

        :raises OSError: none takes a connection.
        """
        loop = asyncio.get_running_loop()
        if time.monotonic() >= self._until:
            await self._resolve()
        refusal = self._unresolved
        for host, port in self._resolved:
            try:
                transport, _ = await loop.create_connection(asyncio.Protocol, host, port)
            except OSError as error:
                refusal = error
            else:
                transport.close()
                return
        raise refusal or OSError("no address")

    async def _resolve(self) -> None:
        """Ask DNS, and keep what it says for a while, a failure too."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except OSError as error:
            self._resolved, self._unresolved, self._until = [], error, time.monotonic() + AGAIN
            return
        self._resolved, self._unresolved = [(str(place[0]), self._port) for *_, place in found], None
        self._until = time.monotonic() + RESOLVED
