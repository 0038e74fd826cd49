"""A bound on the request bodies that are being decided, so that many at once can't exhaust a router that fails closed.

The gateway asks only when a body is complete, and says its size. Its bytes are reserved before the body is let in, and
given back when its stream ends, which takes milliseconds. What doesn't fit waits a moment for its turn. Small requests
have a turn and some room of their own, so that they still pass while large bodies fill the bound.

What a compressed body is decoded to is reserved before it is decoded, and may pass the bound, since what was let in
must be able to go. Only one at a time does: the next waits until no more is held than the bound and the room for
small requests.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

SMALL_BYTES: Final = 64 * 1024
"""Requests of up to this size may use up to an eighth more than the bound."""
MOST_REQUESTS: Final = 8192
"""Requests that may hold a reservation or wait for one at the same time, however small: a stream costs the process
about 24 KiB whatever its body's size. Where several processes decide, each has its share of these and of the bytes."""
PATIENCE: Final = 2.0
"""Seconds to wait for room: long enough for the bodies in front, short of the gateway's deadline for a decision."""


class Admission:
    """The bytes in flight of one process. Lives on one event loop; the counts may be read from anywhere."""

    def __init__(self, limit: int, most: int = MOST_REQUESTS) -> None:
        self._most = most
        self.limit: int = limit
        """The bound in bytes; a reloaded configuration may change it at any time."""
        self.in_flight: int = 0
        """The sum of all reservations, in bytes."""
        self.requests: int = 0
        """The number of all reservations, and of those who wait for one."""
        self._small: deque[_Turn] = deque()
        self._large: deque[_Turn] = deque()
        self._growing: deque[_Turn] = deque()

    async def reserve(self, size: int) -> Reservation | None:
        """Reserve ``size`` bytes, at once or when it is their turn; ``None`` if that takes too long.

        Turns are taken in the order of arrival, so that a large body doesn't wait for ever behind smaller ones.
        """
        waiting = self._small if size <= SMALL_BYTES else self._large
        if self.requests >= self._most:
            return None
        self.requests += 1
        if not waiting and self._fits(size):
            return self._take(size)
        turn = _Turn(size)
        waiting.append(turn)
        try:
            async with asyncio.timeout(PATIENCE):
                await turn.came.wait()
        except BaseException as error:
            if turn.came.is_set():
                self._give_back(size)
            else:
                waiting.remove(turn)
                self.requests -= 1
                self._next()  # it may have stood before a smaller one that fits
            if isinstance(error, TimeoutError):
                return None
            raise
        return Reservation(self, size)

    def _fits(self, size: int) -> bool:
        return self.in_flight + size <= (self._with_small if size <= SMALL_BYTES else self.limit)

    @property
    def _with_small(self) -> int:
        """The bound, and the room for small requests."""
        return self.limit + self.limit // 8

    def _take(self, size: int) -> Reservation:
        self.in_flight += size
        return Reservation(self, size)

    def _give_back(self, size: int) -> None:
        self.in_flight -= size
        self.requests -= 1
        self._next()

    async def _grow(self, more: int) -> None:
        """Hold ``more`` bytes for a request that was let in, as soon as no more than the bound is held."""
        if not self._growing and self.in_flight <= self._with_small:
            self.in_flight += more
            return
        turn = _Turn(more)
        self._growing.append(turn)
        try:
            await turn.came.wait()
        except BaseException:
            if turn.came.is_set():
                self.in_flight -= more
            else:
                self._growing.remove(turn)
            self._next()
            raise

    def _shrink(self, less: int) -> None:
        self.in_flight -= less
        self._next()

    def _next(self) -> None:
        """Let in whose turn it is."""
        while self._growing and self.in_flight <= self._with_small:
            turn = self._growing.popleft()
            self.in_flight += turn.size
            turn.came.set()
        for waiting in (self._small, self._large):
            while waiting and self._fits(waiting[0].size):
                turn = waiting.popleft()
                self.in_flight += turn.size
                turn.came.set()


class _Turn:
    """A request that waits."""

    __slots__ = ("came", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.came = asyncio.Event()
        """Set once its bytes are reserved."""


class Reservation:
    """Bytes that one request holds until :meth:`release`. Calls must not overlap."""

    __slots__ = ("_admission", "size")

    def __init__(self, admission: Admission, size: int) -> None:
        self._admission: Admission | None = admission
        self.size: int = size
        """Bytes."""

    async def grow(self, more: int) -> None:
        """Wait until there is room for further bytes, and hold them."""
        if self._admission is not None:
            await self._admission._grow(more)  # noqa: SLF001 - the two are one mechanism
            self.size += more

    def shrink(self, less: int) -> None:
        """Give some bytes back; fewer than none takes some, beyond the bound if need be."""
        if self._admission is not None:
            self.size -= less
            self._admission._shrink(less)  # noqa: SLF001 - the two are one mechanism

    def release(self) -> None:
        """Give the bytes back; a second call does nothing."""
        admission, self._admission = self._admission, None
        if admission is not None:
            admission._give_back(self.size)  # noqa: SLF001 - the two are one mechanism
