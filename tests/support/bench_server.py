"""A scripted HTTP server that says exactly which bytes a load generator gets, in which pieces."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

OPENING = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
DONE = b"data: [DONE]\n\n"


@dataclass
class Exchange:
    """One request, and the way to answer it."""

    body: dict[str, Any]
    length: int
    writer: asyncio.StreamWriter

    async def write(self, *pieces: bytes) -> None:
        """Send pieces so that they arrive one by one."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0.01)

    def reset(self) -> None:
        """Cut the connection with a RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


def chunk(piece: bytes) -> bytes:
    """A piece in chunked transfer coding, as engines and gateways send it."""
    return b"%x\r\n%s\r\n" % (len(piece), piece)


def event(text: str = "word", **more: Any) -> bytes:
    """One chat chunk with ``text``."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None} | more
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


def usage(completion: int, prompt: int = 10) -> bytes:
    """The last chunk, which only holds usage."""
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "prompt_tokens_details": {"cached_tokens": 0}}
    return b"data: " + json.dumps({"choices": [], "usage": counts}).encode() + b"\n\n"


async def answer_well(exchange: Exchange) -> None:
    """Two words, a finish_reason, usage and ``[DONE]``."""
    await exchange.write(OPENING, event("one"), event(" two", finish_reason="length"), usage(2), DONE)


@dataclass
class Server:
    """Answers every request with ``script``; remembers the bodies. An async context manager."""

    script: Callable[[Exchange], Awaitable[None]]
    bodies: list[dict[str, Any]] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**24)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            body = json.loads(await reader.readexactly(length))
            self.bodies.append(body)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            await self.script(Exchange(body, length, writer))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has gone, or the test is over
        finally:
            self.in_flight -= 1
            writer.close()


def gather(wanted: int) -> Callable[[Exchange], Awaitable[None]]:
    """A script that answers nobody until ``wanted`` requests are there at once."""
    everybody = asyncio.Event()
    waiting = 0

    async def script(exchange: Exchange) -> None:
        nonlocal waiting
        waiting += 1
        if waiting == wanted:
            everybody.set()
        await everybody.wait()
        await answer_well(exchange)

    return script
