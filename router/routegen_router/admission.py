"""A bound on the request bodies in flight, so that large uploads can't exhaust a router that fails closed.

Bytes are reserved when a request's headers arrive, before its body is let through, and given back when its stream
ends. Small requests get some room beyond the bound, so that they still pass while large uploads fill it.
"""

from __future__ import annotations

from threading import Lock
from typing import Final

SMALL_BYTES: Final = 64 * 1024
"""Requests of up to this size may use up to an eighth more than the bound."""
MOST_REQUESTS: Final = 8192
"""Requests that may hold a reservation at the same time, however small: a stream that waits for a slow upload costs the
process about 24 KiB whatever the upload's size."""


class Admission:
    """The bytes in flight of one router process. Safe to use from several threads."""

    def __init__(self, limit: int) -> None:
        self.limit: int = limit
        """The bound in bytes; a reloaded configuration may change it at any time."""
        self.in_flight: int = 0
        """The sum of all reservations, in bytes."""
        self.requests: int = 0
        """The number of all reservations."""
        self._lock = Lock()

    def reserve(self, size: int) -> Reservation | None:
        """Reserve ``size`` bytes; ``None`` if that would pass the bound, or that on the number of requests."""
        bound = self.limit + self.limit // 8 if size <= SMALL_BYTES else self.limit
        with self._lock:
            if self.in_flight + size > bound or self.requests >= MOST_REQUESTS:
                return None
            self.in_flight += size
            self.requests += 1
        return Reservation(self, size)

    def _change(self, size: int, requests: int = 0) -> None:
        with self._lock:
            self.in_flight += size
            self.requests += requests


class Reservation:
    """Bytes that one request holds until :meth:`release`."""

    __slots__ = ("_admission", "_size")

    def __init__(self, admission: Admission, size: int) -> None:
        self._admission: Admission | None = admission
        self._size = size

    def resize(self, size: int) -> None:
        """Correct the reservation to the true size; these bytes are here already, so the bound isn't asked."""
        if self._admission is not None:
            self._admission._change(size - self._size)  # noqa: SLF001 - the two are one mechanism
            self._size = size

    def release(self) -> None:
        """Give the bytes back; a second call does nothing."""
        admission, self._admission = self._admission, None
        if admission is not None:
            admission._change(-self._size, -1)  # noqa: SLF001 - the two are one mechanism
