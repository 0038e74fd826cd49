"""Sends a :class:`~support.corpus.Request` as a client would: HTTP/1.1 or h2c, in one piece, chunked, or slowly."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator

import aiohttp

from support import h2c
from support.corpus import Framing, Request
from support.gateway import Reply

SLOW_PIECES = 5
SLOW_PAUSE = 0.05
"""Seconds between the pieces of a slow upload."""
CHUNK = 16 * 1024


async def send(session: aiohttp.ClientSession, port: int, request: Request) -> Reply:
    """Send one request to the gateway on 127.0.0.1 and return the whole answer."""
    headers = [("content-type", "application/json"), ("x-tag", request.tag), *request.headers]
    pieces = list(_pieces(request))
    pause = SLOW_PAUSE if request.framing == "slow" else 0.0
    if request.http2:
        if request.framing == "length":
            headers.append(("content-length", str(len(request.body))))
        lower = [(name.lower(), value) for name, value in headers]
        return await asyncio.to_thread(
            h2c.request, port, "POST", request.case.path, lower, pieces, pause=pause, timeout=60
        )
    body = io.BytesIO(request.body) if request.framing == "length" else _slowly(pieces, pause)
    url = f"http://127.0.0.1:{port}{request.case.path}"
    async with session.post(url, data=body, headers=headers) as response:
        pairs = tuple((name.lower(), value) for name, value in response.headers.items())
        return Reply(response.status, pairs, await response.read())


def outcome(reply: Reply) -> str:
    """What came of a request, as a :class:`~support.corpus.Case` expects it: a backend, or ``"400 code"``."""
    if reply.status >= 400:
        return f"{reply.status} {reply.code}"
    return reply.header("x-inference-server") or "200 without the routing header"


def _pieces(request: Request) -> list[bytes]:
    framing: Framing = request.framing
    if framing == "length":
        return [request.body]
    size = CHUNK if framing == "chunked" else max(1, len(request.body) // SLOW_PIECES)
    return [request.body[start : start + size] for start in range(0, len(request.body), size)]


async def _slowly(pieces: list[bytes], pause: float) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
        if pause:
            await asyncio.sleep(pause)
