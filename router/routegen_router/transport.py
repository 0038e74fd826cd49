"""The seam between deciding and the wire: a transport says how messages come and go, the processor what they mean.

A transport serves two gRPC services for one router: Envoy's external processing, one stream a request, and
grpc.health.v1. What it is given are the messages' bytes, what it takes are bytes or a :class:`StatusError`.
:mod:`~routegen_router.grpc_transport` is the one that there is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from enum import IntEnum
from typing import Any, NamedTuple, Protocol


class Status(IntEnum):
    """gRPC's status codes, as far as the router uses them."""

    INVALID_ARGUMENT = 3
    NOT_FOUND = 5
    INTERNAL = 13
    UNAVAILABLE = 14


class StatusError(Exception):
    """A call ends with this status; the text is for whoever reads the gateway's log, and holds nothing of a request."""

    def __init__(self, status: Status, text: str) -> None:
        super().__init__(text)
        self.status = status


class Exchange(Protocol):
    """One stream of Envoy's. One task uses it."""

    async def read(self) -> object:
        """The next message, as bytes; anything else means that the gateway has sent its last one."""

    async def write(self, message: bytes) -> None:
        """Send a message; waits while the gateway takes none."""

    def cancelled(self) -> bool:
        """Whether the gateway has broken the stream off."""

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Call ``callback`` once the stream has ended, and its last message is on its way."""


class Processing(Protocol):
    """What decides."""

    async def process(self, exchange: Exchange) -> bytes:
        """Handle a stream; what is returned is its last message, and the stream ends well with it.

        :raises StatusError: it ends with an error.
        """


class Checking(Protocol):
    """What knows whether the router should get requests (grpc.health.v1)."""

    def check(self, request: bytes) -> bytes:
        """Answer once.

        :raises StatusError: the request is no such thing, or about a service that isn't here.
        """

    def watch(self, request: bytes) -> AsyncIterator[bytes]:
        """Answer now and at every change, until the router stops.

        :raises StatusError: the request is no such thing.
        """


class Pem(NamedTuple):
    """A certificate chain, its key, and the authorities that clients' certificates must come from."""

    cert: bytes
    key: bytes
    ca: bytes


class Credentials(Protocol):
    """What is shown to clients, and asked of them. Called from whichever thread shakes hands."""

    current: Pem

    def renewed(self) -> Pem | None:
        """What is to be used from now on, where that has changed."""


class Transport(Protocol):
    """Serves both. Lives on one event loop."""

    def bind(self, address: str, credentials: Credentials | None = None) -> str:
        """Listen on ``host:port`` or ``unix:/path``; the address with its true port.

        :param credentials: for TLS, with a certificate on both sides; ``None``: plain text.
        :raises StartError: that can't be had.
        """

    async def start(self) -> None:
        """Take calls from now on."""

    async def stop(self, grace: float) -> None:
        """Take no further calls, and give those under way ``grace`` seconds."""
