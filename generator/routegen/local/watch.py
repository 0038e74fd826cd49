"""Notices that a file has changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Final

INTERVAL: Final = 0.2


async def changes(file: Path, taken: bytes | None, again: Callable[[], bool]) -> AsyncGenerator[None, None]:
    """Yield whenever the file's content has changed, or it has gone or come, and has then stayed so for a moment.

    Contents are compared: that notices an editor's rename as well as a write in place, and takes no half-written file.

    :param taken: the content to compare with first, from :func:`content`.
    :param again: whether the same content is worth another look.
    """
    seen = taken
    while True:
        await asyncio.sleep(INTERVAL)
        before, seen = seen, content(file)
        if seen == before and (seen != taken or again()):
            taken = seen
            yield


def content(file: Path) -> bytes | None:
    """What is in the file; ``None`` where it can't be read."""
    try:
        return file.read_bytes()
    except OSError:
        return None
