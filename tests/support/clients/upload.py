"""Sends a file as aiohttp does, and prints what it was told: ``upload.py URL FILE [NAME VALUE]…``.

A program of its own, because an upload that is refused leaves a connection that closes only after its event loop.
"""

from __future__ import annotations

import asyncio
import io
import json
import sys
from pathlib import Path

import aiohttp


async def main(url: str, body: bytes, *headers: str) -> None:
    """Print status and code of the answer."""
    pairs = dict(zip(headers[::2], headers[1::2], strict=True))
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=io.BytesIO(body), headers=pairs) as answer,
    ):
        print(answer.status, json.loads(await answer.read())["error"]["code"])


asyncio.run(main(sys.argv[1], Path(sys.argv[2]).read_bytes(), *sys.argv[3:]))
