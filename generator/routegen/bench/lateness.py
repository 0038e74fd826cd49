"""How late this process comes to what is due: so late it also reads answers, and no record of an answer shows it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

TICK: Final = 0.005
"""Seconds between two looks at the clock."""


class Lateness:
    """The mean of how late the event loop came to moments on a fixed grid.

    Moments that passed while the loop was away count each with their own delay, as a chunk would have that came then:
    to look again only afterwards would count a long absence once.
    """

    def __init__(self) -> None:
        self._late = 0.0
        self._moments = 0

    @property
    def mean(self) -> float:
        """Seconds; 0 where nothing was due."""
        return self._late / max(self._moments, 1)

    def came(self, due: float, now: float) -> float:
        """Count every moment from ``due`` until ``now``; the next one."""
        while due <= now:
            self._late += now - due
            self._moments += 1
            due += TICK
        return due


@asynccontextmanager
async def watched(now: Callable[[], float]) -> AsyncIterator[Lateness]:
    """Watch the event loop meanwhile."""
    found = Lateness()

    async def watch() -> None:
        due = now() + TICK
        while True:
            await asyncio.sleep(due - now())
            due = found.came(due, now())

    task = asyncio.create_task(watch())
    try:
        yield found
    finally:
        task.cancel()
