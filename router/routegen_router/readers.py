"""Processes beside the router's that decode and read the bodies which would hold up its event loop.

A pass over a body holds Python's lock, in a thread too, and everything else waits for it: a third of a millisecond a
megabyte for plain text, ten times that for bodies made to be slow. So the loop makes one pass over bodies of up to
:data:`AT_ONCE` bytes, which nearly always tells; what is longer, or needs more passes, goes to a reader process, over a
socket, piece by piece. So do compressed bodies that aren't short or turn out to be long, and come back decoded.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

import msgspec

from . import codings, forms
from .body import SHORT, BodyReader, Fields
from .codings import TooLongError
from .config import Reads
from .forms import Form
from .reader import Found, Process
from .reading import PLAIN, Packing, names, of_form, unread
from .refusals import BodyError, Reject, too_large_decoded
from .request import Bytes
from .turns import LONG, Turns

AT_ONCE: Final = 256 * 1024
"""Longer bodies are read by a reader process."""
CAREFULLY: Final = SHORT
"""Of shorter bodies, those up to this length are read on the event loop even where one pass doesn't tell."""
READERS: Final = 2
"""Processes: more would only hold more bodies in memory. Who reads next is for :mod:`~routegen_router.turns`."""


class Room(Protocol):
    """Who counts the bytes that bodies are decoded to."""

    async def grow(self, more: int) -> None:
        """Wait until there is room for further bytes."""

    def shrink(self, less: int) -> None:
        """Give back bytes that weren't needed."""


class Endless:
    """Room for everything."""

    async def grow(self, more: int) -> None:
        """Take any bytes."""

    def shrink(self, less: int) -> None:
        """Take them back."""


ENDLESS: Final = Endless()
"""Where nobody counts."""


class Readers:
    """Lives on one event loop. Reader processes are started when they are first needed, and again after they ended."""

    def __init__(self) -> None:
        self._turns = Turns(READERS)
        self._idle: list[Process] = []

    async def read(
        self,
        reads: Reads,
        reader: BodyReader,
        raw: Bytes,
        packing: Packing = PLAIN,
        room: Room = ENDLESS,
    ) -> Fields | Reject:
        """Read a body, here or in a reader process.

        :param reader: for ``reads``.
        :param room: asked for the bytes that a body may have when it is decoded, before it is.
        :raises OSError, EOFError: the reader process ended before it answered.
        """
        if not packing.codings:
            return await self._read(reads, reader, raw, packing)
        if len(raw) <= SHORT:
            bound = min(AT_ONCE, packing.limit)
            await room.grow(bound)
            decoded = None
            try:
                decoded = codings.decoded(raw, packing.codings, bound)
            except BodyError as error:
                return error.reject
            except TooLongError:
                pass
            finally:
                room.shrink(bound - len(decoded or b""))
            if decoded is not None:
                found = await self._read(reads, reader, decoded, packing)
                return found if isinstance(found, Reject) else msgspec.structs.replace(found, decoded=decoded)
        return await self._decode(reads, raw, packing, room)

    async def _read(self, reads: Reads, reader: BodyReader, raw: Bytes, packing: Packing) -> Fields | Reject:
        short = len(raw) <= AT_ONCE
        try:
            if packing.boundary is not None:
                return of_form(await _scan(raw, packing.boundary, reads), reads)
            if short:
                fields = reader.read_at_once(raw)
                if fields is not None:
                    return fields
                if len(raw) <= CAREFULLY:
                    return reader.read_carefully(bytes(raw))
        except BodyError as error:
            return unread(error.reject, packing)
        found = await self._elsewhere(reads, raw, PLAIN, len(raw), carefully=short)
        return unread(found.reject, packing) if found.reject is not None else found.fields()

    async def _decode(self, reads: Reads, raw: Bytes, packing: Packing, room: Room) -> Fields | Reject:
        """Decode and read in a reader process, whose turn comes by what the body has so far turned out to have.

        A body of a few bytes may be one of the longest, so it is first decoded to the length of those that any reader
        takes, and to its end only when it is the turn of long ones.
        """
        bounds = [min(LONG, packing.limit)] if len(raw) <= LONG else []
        for bound in (*bounds, packing.limit):
            rank = bound if bound > LONG else len(raw)
            bounded = msgspec.structs.replace(packing, limit=bound)
            found = await self._elsewhere(reads, raw, bounded, rank, room=room)
            room.shrink(bound - len(found.body or b""))
            if not found.longer:
                return found.fields()
        return too_large_decoded(packing.limit)

    async def _elsewhere(
        self,
        reads: Reads,
        raw: Bytes,
        packing: Packing,
        rank: int,
        *,
        carefully: bool = False,
        room: Room = ENDLESS,
    ) -> Found:
        await self._turns.take(rank)
        try:
            await room.grow(packing.limit)
        except BaseException:
            self._turns.give_back(rank)
            raise
        work = asyncio.ensure_future(self._ask(reads, packing, raw, rank, carefully))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait([work])  # what it holds in memory stays counted; a reader isn't left half asked
            raise

    async def _ask(self, reads: Reads, packing: Packing, raw: Bytes, rank: int, carefully: bool) -> Found:
        """Ask a reader process; its turn has come, and ends with this."""
        try:
            process = self._idle.pop() if self._idle else await Process.start()
            try:
                found = await process.ask(reads, packing, raw, carefully)
            except BaseException:
                process.end()
                raise
            self._idle.append(process)
            return found
        finally:
            self._turns.give_back(rank)

    def close(self) -> None:
        """End the idle reader processes; the others end with this process at the latest."""
        while self._idle:
            self._idle.pop().end()


async def _scan(raw: Bytes, boundary: str, reads: Reads) -> Form:
    """Read a form where it is; others get their turn between its slices."""
    scanning = forms.scan(raw, boundary, names(reads))
    while True:
        try:
            next(scanning)
        except StopIteration as ended:
            form: Form = ended.value
            return form
        await asyncio.sleep(0)
