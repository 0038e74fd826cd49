"""The gRPC health service: whether this router should get requests.

The standard protocol (grpc.health.v1), over raw bytes: Envoy's active health checks and Kubernetes' gRPC probes ask it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from . import wire
from .transport import Status, StatusError

SERVICES: Final = ("", wire.SERVICE)
"""Both mean the whole router, which is its one service."""


class Health:
    """Not serving until told otherwise. Lives on one event loop."""

    def __init__(self) -> None:
        self.serving = False
        """What Check answers now; may be read from any thread."""
        self.served = False
        """Whether it ever was serving: who drains is not, and knows all that it knew."""
        self._closed = False
        self._changed = asyncio.Event()

    def set(self, *, serving: bool) -> None:
        """Change the status and tell everybody who watches it."""
        if serving != self.serving:
            self.serving = serving
            self.served |= serving
            self._wake()

    def close(self) -> None:
        """End all Watch streams, which would hold up the server's stop."""
        self._closed = True
        self._wake()

    def check(self, request: bytes) -> bytes:
        """Answer once.

        :raises StatusError: NOT_FOUND for a service that isn't here, as the protocol says.
        """
        if _service(request) not in SERVICES:
            raise StatusError(Status.NOT_FOUND, "no such service")
        return self._status()

    async def watch(self, request: bytes) -> AsyncIterator[bytes]:
        """Answer now and whenever the status changes, until the client leaves or the server stops."""
        if _service(request) not in SERVICES:
            yield wire.SERVICE_UNKNOWN
            while not self._closed:
                await self._changed.wait()
            return
        told = None
        while not self._closed:
            changed, status = self._changed, self._status()
            if status != told:
                yield status
                told = status
            await changed.wait()

    def _status(self) -> bytes:
        return wire.SERVING if self.serving else wire.NOT_SERVING

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def _service(request: bytes) -> str:
    try:
        return wire.read_health(request)
    except wire.WireError as error:
        raise StatusError(Status.INVALID_ARGUMENT, str(error)) from error
