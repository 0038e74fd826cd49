"""Clients that send at a fixed rate whatever becomes of their requests, and what they saw."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import aiohttp

RATE: Final = 100
"""Requests a second."""
STREAMING: Final = 20
"""Every so many requests one is answered as a stream of 10 s."""
ASKED: Final = ("one", "two", None)
"""Whom requests name, in turn; ``None``: nobody, the split decides."""


@dataclass
class Seen:
    """One request and what became of it."""

    at: float
    """When it was sent, by :func:`time.monotonic`."""
    asked: str | None
    streamed: bool
    status: int = 0
    """0 where there was no answer."""
    engine: str | None = None
    code: str | None = None
    whole: bool = False
    """Whether the answer came to its proper end; a stream's is ``[DONE]``."""
    broke: bool = False
    """Whether the connection told that it didn't."""

    @property
    def failed(self) -> bool:
        """Whether it got anything but a whole answer."""
        return self.status != 200 or not self.whole  # noqa: PLR2004 - HTTP's OK

    @property
    def truncated(self) -> bool:
        """Whether an answer that had begun didn't come to its end."""
        return self.status == 200 and not self.whole  # noqa: PLR2004 - HTTP's OK

    @property
    def cut_in_silence(self) -> bool:
        """Whether it was truncated and looked whole."""
        return self.truncated and not self.broke

    @property
    def wrong(self) -> bool:
        """Whether another engine answered than the one that was asked."""
        return self.asked is not None and self.engine is not None and self.engine != self.asked


@asynccontextmanager
async def clients(url: str) -> AsyncIterator[list[Seen]]:
    """Send until the block ends, and then wait for the answers that are under way."""
    seen: list[Seen] = []
    under_way: set[asyncio.Task[None]] = set()
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(url, connector=connector, timeout=timeout) as session:
        sending = asyncio.create_task(_send(session, seen, under_way))
        try:
            yield seen
        finally:
            sending.cancel()
            await asyncio.gather(sending, *under_way, return_exceptions=True)


def total(seen: Iterable[Seen], what: str) -> int:
    """How many of them have this property."""
    return sum(bool(getattr(one, what)) for one in seen)


async def _send(session: aiohttp.ClientSession, seen: list[Seen], under_way: set[asyncio.Task[None]]) -> None:
    """Open loop: a request's time doesn't depend on the answers before it."""
    begin, number = time.monotonic(), 0
    while True:
        await asyncio.sleep(max(begin + number / RATE - time.monotonic(), 0))
        one = Seen(time.monotonic(), ASKED[number % len(ASKED)], streamed=number % STREAMING == 0)
        seen.append(one)
        task = asyncio.create_task(_ask(session, one))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        number += 1


async def _ask(session: aiohttp.ClientSession, one: Seen) -> None:
    body: dict[str, object] = {"model": "m", "messages": [{"role": "user", "content": "x" * 1000}]}
    if one.asked is not None:
        body["inference_server"] = one.asked
    if one.streamed:
        body["stream"] = True
    try:
        async with session.post("/v1/chat/completions", json=body) as response:
            one.status = response.status
            one.engine = response.headers.get("x-inference-server")
            text = ""
            async for piece in response.content.iter_any():
                text += piece.decode()
            _read(one, text)
    except (aiohttp.ClientError, TimeoutError, OSError):
        one.broke = True


def _read(one: Seen, text: str) -> None:
    if one.status != 200:  # noqa: PLR2004 - HTTP's OK
        one.code = json.loads(text)["error"]["code"]
        return
    if one.streamed:
        one.whole = text.endswith("data: [DONE]\n\n")
        one.engine = json.loads(text.partition("\n")[0].removeprefix("data: "))["engine"] if text else one.engine
    else:
        one.engine = json.loads(text)["engine"]
        one.whole = True
