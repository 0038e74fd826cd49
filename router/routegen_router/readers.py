"""Processes beside the router's that decode and read the bodies which would hold up its event loop.

A pass over a body holds Python's lock, in a thread too, and everything else waits for it: a third of a millisecond a
megabyte for plain text, ten times that for bodies made to be slow. So the loop makes one pass over bodies of up to
:data:`AT_ONCE` bytes, which nearly always tells; what is longer, or needs more passes, goes to a reader process, over a
socket, piece by piece. So do compressed bodies that aren't short or turn out to be long, and come back decoded. A
reader knows nothing of rules: it is told with each body which fields to find.

``python -m routegen_router.readers`` is a reader. It ends when its standard input does, so none outlives its router.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import BinaryIO, Final

import msgspec

from . import codings, forms, memory, reading
from .body import SHORT, BodyReader, Fields, Unread
from .codings import TooLongError
from .config import Reads
from .forms import Form
from .places import Place
from .reading import PLAIN, Packing, names, of_form, unread
from .refusals import BodyError, Reject, too_large_decoded
from .request import MODEL, Bytes, FieldPath, Measure
from .turns import LONG, Turns

AT_ONCE: Final = 256 * 1024
"""Longer bodies are read by a reader process."""
CAREFULLY: Final = SHORT
"""Of shorter bodies, those up to this length are read on the event loop even where one pass doesn't tell."""
READERS: Final = 2
"""Processes: more would only hold more bodies in memory. Who reads next is for :mod:`~routegen_router.turns`."""
NICENESS: Final = 10
"""Where processors are scarce, the event loop goes first."""

_HEAD: Final = struct.Struct("!IIQ?")
"""Before a request: the lengths of what to find, of how the body is packed, of the body, and whether one pass didn't
tell."""
_LENGTHS: Final = struct.Struct("!IQ")
"""Before an answer: its length, and that of the decoded body behind it."""


class _Found(msgspec.Struct, frozen=True):
    """A reader's answer."""

    values: tuple[tuple[FieldPath, str], ...] = ()
    sizes: tuple[tuple[Measure, int], ...] = ()
    reject: Reject | None = None
    places: tuple[tuple[FieldPath, Place], ...] = ()
    unread: Reject | None = None
    """Why it can't be read, where that isn't fatal."""
    longer: bool = False
    """The body has more bytes, decoded, than it was to be decoded to."""
    decoded: bool = False
    """The decoded body follows."""
    body: bytearray | None = None
    """It, once it is here."""

    def fields(self) -> Fields | Reject:
        """What was found, as :class:`~routegen_router.body.BodyReader` has it."""
        if self.unread is not None:
            nothing = Unread(self.unread)
            return Fields(None, nothing, nothing, self.body)
        values = dict(self.values)
        return self.reject or Fields(values.get(MODEL), values, dict(self.sizes), self.body, dict(self.places))


_encode: Final = msgspec.json.Encoder().encode
_decode_found: Final = msgspec.json.Decoder(_Found).decode
_decode_reads: Final = msgspec.json.Decoder(Reads).decode
_decode_packing: Final = msgspec.json.Decoder(Packing).decode


def uncounted(held: int) -> None:
    """Count no bytes."""
    del held


class Readers:
    """Lives on one event loop. Reader processes are started when they are first needed, and again after they ended."""

    def __init__(self) -> None:
        self._turns = Turns(READERS)
        self._idle: list[_Process] = []

    async def read(
        self,
        reads: Reads,
        reader: BodyReader,
        raw: Bytes,
        packing: Packing = PLAIN,
        held: Callable[[int], None] = uncounted,
    ) -> Fields | Reject:
        """Read a body, here or in a reader process.

        :param reader: for ``reads``.
        :param held: told of the bytes that a body has when it is decoded, before they are held here too.
        :raises OSError, EOFError: the reader process ended before it answered.
        """
        if not packing.codings:
            return await self._read(reads, reader, raw, packing)
        if len(raw) <= SHORT:
            try:
                decoded = codings.decoded(raw, packing.codings, min(AT_ONCE, packing.limit))
            except BodyError as error:
                return error.reject
            except TooLongError:
                pass
            else:
                held(len(decoded))
                found = await self._read(reads, reader, decoded, packing)
                return found if isinstance(found, Reject) else msgspec.structs.replace(found, decoded=decoded)
        return await self._decode(reads, raw, packing, held)

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

    async def _decode(self, reads: Reads, raw: Bytes, packing: Packing, held: Callable[[int], None]) -> Fields | Reject:
        """Decode and read in a reader process, whose turn comes by what the body has so far turned out to have.

        A body of a few bytes may be one of the longest, so it is first decoded to the length of those that any reader
        takes, and to its end only when it is the turn of long ones.
        """
        bounds = [min(LONG, packing.limit)] if len(raw) <= LONG else []
        for bound in (*bounds, packing.limit):
            rank = bound if bound > LONG else len(raw)
            bounded = msgspec.structs.replace(packing, limit=bound)
            found = await self._elsewhere(reads, raw, bounded, rank, held=held)
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
        held: Callable[[int], None] = uncounted,
    ) -> _Found:
        await self._turns.take(rank)
        work = asyncio.ensure_future(self._ask(_encode(reads), _encode(packing), raw, rank, carefully, held))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait([work])  # what it holds in memory stays counted; a reader isn't left half asked
            raise

    async def _ask(
        self, reads: bytes, packing: bytes, raw: Bytes, rank: int, carefully: bool, held: Callable[[int], None]
    ) -> _Found:
        """Ask a reader process; its turn has come, and ends with this."""
        try:
            process = self._idle.pop() if self._idle else await _Process.start()
            try:
                found = await process.ask(reads, packing, raw, carefully, held)
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


class _Process:
    """A reader process, seen from the router's."""

    def __init__(
        self, process: subprocess.Popen[bytes], answers: asyncio.StreamReader, asked: asyncio.StreamWriter
    ) -> None:
        self._process, self._answers, self._asked = process, answers, asked

    @classmethod
    async def start(cls) -> _Process:
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.to_thread(_spawn, theirs)
        return cls(process, *await asyncio.open_connection(sock=ours))

    async def ask(
        self, reads: bytes, packing: bytes, raw: Bytes, carefully: bool, held: Callable[[int], None]
    ) -> _Found:
        self._asked.write(_HEAD.pack(len(reads), len(packing), len(raw), carefully) + reads + packing)
        self._asked.write(raw)
        length, size = _LENGTHS.unpack(await self._answers.readexactly(_LENGTHS.size))
        found = _decode_found(await self._answers.readexactly(length))
        if not found.decoded:
            return found
        held(size)
        return msgspec.structs.replace(found, body=await self._take(size))

    async def _take(self, size: int) -> bytearray:
        """A decoded body; other streams get their turn between its pieces."""
        body, at = bytearray(size), 0
        while at < size:
            piece = await self._answers.read(size - at)
            if not piece:
                raise EOFError
            body[at : at + len(piece)] = piece
            at += len(piece)
        return body

    def end(self) -> None:
        self._asked.close()
        self._process.kill()
        self._process.wait()


def _spawn(channel: socket.socket) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", __name__]
    return subprocess.Popen(command, stdin=channel.fileno(), stdout=channel.fileno())  # noqa: S603 - this very module


def main() -> None:
    """Answer requests on standard input until it ends."""
    for number in (
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGHUP,
    ):  # sent to all at once, they go to the router, which drains
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    memory.keep_freed()
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    for reads, packing, raw, carefully in _requests(source):
        found, decoded = _answer(reads, packing, raw, carefully)
        del raw
        answer = _encode(found)
        sink.write(_LENGTHS.pack(len(answer), len(decoded)) + answer)
        sink.write(decoded)
        sink.flush()
        del decoded


def _requests(source: BinaryIO) -> Iterator[tuple[bytes, Packing, bytes, bool]]:
    while len(head := source.read(_HEAD.size)) == _HEAD.size:
        described, packed, length, carefully = _HEAD.unpack(head)
        yield source.read(described), _decode_packing(source.read(packed)), source.read(length), carefully


def _answer(reads: bytes, packing: Packing, raw: bytes, carefully: bool) -> tuple[_Found, bytes | bytearray]:
    reader = _reader(reads)
    try:
        fields = reader.read_carefully(raw) if carefully else reading.read(reader, raw, packing)
    except BodyError as error:
        return _Found(reject=error.reject), b""
    except TooLongError:
        return _Found(longer=True), b""
    decoded = fields.decoded
    if isinstance(fields.values, Unread):
        return _Found(unread=fields.values.reject, decoded=decoded is not None), decoded or b""
    values, sizes, places = tuple(fields.values.items()), tuple(fields.sizes.items()), tuple(fields.places.items())
    found = _Found(values, sizes, places=places, decoded=decoded is not None)
    return found, decoded or b""


@lru_cache(maxsize=4)  # two kinds of path, and a reload changes what is read
def _reader(reads: bytes) -> BodyReader:
    return BodyReader(_decode_reads(reads))


if __name__ == "__main__":
    main()
