"""Routers that misbehave, for what Envoy makes of them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Literal

import grpc

Fault = Literal["closes", "aborts", "confused", "silent"]
"""``closes``: ends the stream with OK and no reply; ``aborts``: an error; ``confused``: answers headers with a reply
for a body; ``silent``: never answers."""

_BODY_REPLY = b"\x1a\x00"
"""A ProcessingResponse with an empty ``request_body`` (field 3)."""
_SERVING = b"\x08\x01"
"""A HealthCheckResponse that says so."""


@contextmanager
def fake_router(fault: Fault) -> Iterator[str]:
    """Serve until the block ends; gives the address."""

    def process(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        if fault == "aborts":
            context.abort(grpc.StatusCode.INTERNAL, "told to fail: a prompt could stand here")
        if fault == "silent":
            for _ in requests:
                pass
        if fault == "confused":
            yield _BODY_REPLY
            for _ in requests:
                pass

    with _serving(process) as address:
        yield address


@contextmanager
def unavailable_router() -> Iterator[tuple[str, list[None]]]:
    """Healthy to who checks it, and unavailable to who asks; gives the address, and an entry for each question."""
    asked: list[None] = []

    def process(_requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        asked.append(None)
        context.abort(grpc.StatusCode.UNAVAILABLE, "starting")
        yield b""

    with _serving(process, healthy=True) as address:
        yield address, asked


@contextmanager
def scripted_router(replies: Sequence[bytes], heard: list[bytes] | None = None) -> Iterator[str]:
    """Answer the first message of each stream with the first reply, and so on; gives the address.

    :param heard: collects the messages.
    """

    def process(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        del context
        for message, reply in zip(requests, replies, strict=False):
            if heard is not None:
                heard.append(message)
            yield reply

    with _serving(process) as address:
        yield address


@contextmanager
def _serving(process: Callable[[Iterator[bytes], Any], Iterator[bytes]], *, healthy: bool = False) -> Iterator[str]:
    handler = grpc.method_handlers_generic_handler(
        "envoy.service.ext_proc.v3.ExternalProcessor", {"Process": grpc.stream_stream_rpc_method_handler(process)}
    )
    check = grpc.unary_unary_rpc_method_handler(lambda _request, _context: _SERVING)
    health = grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": check})
    with tempfile.TemporaryDirectory(prefix="router-") as folder:
        server = grpc.server(ThreadPoolExecutor(32), handlers=(handler, health) if healthy else (handler,))
        address = f"unix:{folder}/s"
        server.add_insecure_port(address)
        server.start()
        try:
            yield address
        finally:
            server.stop(0).wait()
