"""The gRPC health service: whether this router should get requests.

The standard protocol (grpc.health.v1), over raw bytes: Envoy's active health checks and Kubernetes' gRPC probes ask it.
"""

from __future__ import annotations

import asyncio
from typing import Final

import grpc

from . import wire

SERVICES: Final = ("", wire.SERVICE)
"""Both mean the whole router, which is its one service."""


class Health:
    """Not serving until told otherwise. Lives on one event loop."""

    def __init__(self) -> None:
        self.serving = False
        """What Check answers now; may be read from any thread."""
        self._closed = False
        self._changed = asyncio.Event()

    def set(self, *, serving: bool) -> None:
        """Change the status and tell everybody who watches it."""
        if serving != self.serving:
            self.serving = serving
            self._wake()

    def close(self) -> None:
        """End all Watch streams, which would hold up the server's stop."""
        self._closed = True
        self._wake()

    def handler(self) -> grpc.GenericRpcHandler:
        """What a gRPC server serves it with."""
        methods = {
            "Check": grpc.unary_unary_rpc_method_handler(self.check),
            "Watch": grpc.unary_stream_rpc_method_handler(self.watch),
        }
        return grpc.method_handlers_generic_handler(wire.HEALTH_SERVICE, methods)

    async def check(self, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        """Answer once; NOT_FOUND for a service that isn't here, as the protocol says."""
        if await self._service(request, context) not in SERVICES:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
        return self._status()

    async def watch(self, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        """Answer now and whenever the status changes, until the client leaves or the server stops."""
        if await self._service(request, context) not in SERVICES:
            await context.write(wire.SERVICE_UNKNOWN)
            while not self._closed:
                await self._changed.wait()
            return
        told = None
        while not self._closed:
            changed, status = self._changed, self._status()
            if status != told:
                await context.write(status)
                told = status
            await changed.wait()

    def _status(self) -> bytes:
        return wire.SERVING if self.serving else wire.NOT_SERVING

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    @staticmethod
    async def _service(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> str:
        try:
            return wire.read_health(request)
        except wire.WireError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            raise
