"""The transport on grpcio: raw bytes over ``grpc.aio``. The only module that knows grpc."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Final, NoReturn, TypeAlias

# Read when grpc is imported. Its own lines aren't JSON, and there is one for each handshake that fails.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc

from . import addresses, wire
from .addresses import StartError
from .transport import Checking, Credentials, Pem, Processing, Status, StatusError

HEADROOM: Final = 1024 * 1024
"""Bytes that a message may be longer than the longest body: its framing and Envoy's metadata."""
_CODES: Final = {
    Status.INVALID_ARGUMENT: grpc.StatusCode.INVALID_ARGUMENT,
    Status.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Status.INTERNAL: grpc.StatusCode.INTERNAL,
    Status.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
}
_Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"


class GrpcTransport:
    """A :class:`~routegen_router.transport.Transport`."""

    def __init__(self, processing: Processing, checking: Checking, max_body_bytes: int) -> None:
        """Prepare.

        :param max_body_bytes: of the longest body; a message that is longer than that and its frame ends its call.
        """
        self._processing, self._checking = processing, checking
        self._server = grpc.aio.server(options=channel_options(max_body_bytes))
        # Processing streams both ways. To grpc it is said to stream requests only, which is the same on the wire: what
        # is returned then leaves together with the stream's end instead of in a turn of its own, which saves about a
        # tenth of what a request costs. The reply before it, to the headers, is written.
        process = {wire.METHOD: grpc.stream_unary_rpc_method_handler(self._process)}
        health = {
            "Check": grpc.unary_unary_rpc_method_handler(self._check),
            "Watch": grpc.unary_stream_rpc_method_handler(self._watch),
        }
        self._server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(wire.SERVICE, process),
                grpc.method_handlers_generic_handler(wire.HEALTH_SERVICE, health),
            )
        )

    def bind(self, address: str, credentials: Credentials | None = None) -> str:
        """Listen on one address; the address with its true port.

        :param credentials: for TLS, with a certificate on both sides; ``None``: plain text.
        :raises StartError: it can't be had.
        """
        addresses.check(address)
        try:
            port = self._add(address, credentials)
        except RuntimeError as error:
            raise StartError(f"can't listen on {address}; choose another address with --listen") from error
        return addresses.bound(address, port)

    def _add(self, address: str, credentials: Credentials | None) -> int:
        if credentials is None:
            return int(self._server.add_insecure_port(address))
        return int(self._server.add_secure_port(address, _server_credentials(credentials)))

    async def start(self) -> None:
        """Take calls from now on."""
        await self._server.start()

    async def stop(self, grace: float) -> None:
        """Take no further calls, and give those under way ``grace`` seconds."""
        await self._server.stop(grace)

    async def _process(self, _messages: AsyncIterator[bytes], context: _Context) -> bytes:
        try:
            return await self._processing.process(context)
        except StatusError as error:
            await _abort(context, error)

    async def _check(self, request: bytes, context: _Context) -> bytes:
        try:
            return self._checking.check(request)
        except StatusError as error:
            await _abort(context, error)

    async def _watch(self, request: bytes, context: _Context) -> None:
        try:
            async for status in self._checking.watch(request):
                await context.write(status)
        except StatusError as error:
            await _abort(context, error)


def channel_options(max_body_bytes: int) -> list[tuple[str, int]]:
    """What the server is told."""
    return [
        ("grpc.so_reuseport", 0),  # a busy port must be an error, not a second server that gets half the streams
        ("grpc.max_receive_message_length", max_body_bytes + HEADROOM),  # grpc's 4 MiB would be a 500 for the client
        # Envoy's keepalive pings are welcome at any rate; by default they end the connection as too many.
        ("grpc.http2.max_ping_strikes", 0),
        ("grpc.keepalive_permit_without_calls", 1),
    ]


def _server_credentials(credentials: Credentials) -> grpc.ServerCredentials:
    """TLS 1.2 or newer with a client's certificate; the files are looked at for each connection."""

    def configuration(pem: Pem | None) -> grpc.ServerCertificateConfiguration | None:
        if pem is None:
            return None
        return grpc.ssl_server_certificate_configuration([(pem.key, pem.cert)], pem.ca)

    return grpc.dynamic_ssl_server_credentials(
        configuration(credentials.current),
        lambda: configuration(credentials.renewed()),
        require_client_authentication=True,
    )


async def _abort(context: _Context, error: StatusError) -> NoReturn:
    await context.abort(_CODES[error.status], str(error))
    raise AssertionError("abort() raises")
