"""Whose body is read next, where there are more bodies than reader processes.

Shorter bodies go first: they are done soon, whatever is in them. One place is kept for bodies of up to :data:`LONG`
bytes, so that those which take a reader longest never hold all of them.
"""

from __future__ import annotations

import asyncio
import itertools
from bisect import insort
from typing import Final

LONG: Final = 2 * 1024 * 1024
"""Bytes. Longer bodies leave a place free."""


class Turns:
    """Gives out places to read at. Lives on one event loop."""

    def __init__(self, places: int) -> None:
        """:param places: two at least."""
        self._free, self._free_for_long = places, places - 1
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    async def take(self, length: int) -> None:
        """Wait for a place for a body of this many bytes. Who has one calls :meth:`give_back`."""
        turn = asyncio.get_running_loop().create_future()
        waits = (length, next(self._numbers), turn)
        insort(self._waiting, waits)
        self._give()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._waiting.remove(waits)
            else:  # given up when its turn had just come
                self.give_back(length)
            raise

    def give_back(self, length: int) -> None:
        """The body of this many bytes has been read."""
        self._count(length, 1)
        self._give()

    def _give(self) -> None:
        for length, number, turn in tuple(self._waiting):
            if not self._free or (length > LONG and not self._free_for_long):
                return  # those behind it are as long
            if not turn.cancelled():
                self._waiting.remove((length, number, turn))
                self._count(length, -1)
                turn.set_result(None)

    def _count(self, length: int, change: int) -> None:
        self._free += change
        if length > LONG:
            self._free_for_long += change
