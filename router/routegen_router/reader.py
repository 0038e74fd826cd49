"""A process that decodes and reads bodies, from both sides of the socket between it and the router's.

It knows nothing of rules: it is told with each body which fields to find. ``python -m routegen_router.reader`` is one.
It ends when its standard input does, so none outlives its router.
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
from collections.abc import Iterator
from functools import lru_cache
from typing import BinaryIO, Final

import msgspec

from . import memory, reading
from .body import BodyReader, Fields, Unread
from .codings import TooLongError
from .config import Reads
from .places import Place
from .reading import Packing
from .refusals import BodyError, Reject
from .request import MODEL, Bytes, FieldPath, Measure

NICENESS: Final = 10
"""Where processors are scarce, the event loop goes first."""

_HEAD: Final = struct.Struct("!IIQ?")
"""Before a request: the lengths of what to find, of how the body is packed, of the body, and whether one pass didn't
tell."""
_LENGTHS: Final = struct.Struct("!IQ")
"""Before an answer: its length, and that of the decoded body behind it."""


class Found(msgspec.Struct, frozen=True):
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
_decode_found: Final = msgspec.json.Decoder(Found).decode
_decode_reads: Final = msgspec.json.Decoder(Reads).decode
_decode_packing: Final = msgspec.json.Decoder(Packing).decode


class Process:
    """A reader process, seen from the router's. Ask it one thing at a time."""

    def __init__(
        self, process: subprocess.Popen[bytes], answers: asyncio.StreamReader, asked: asyncio.StreamWriter
    ) -> None:
        self._process, self._answers, self._asked = process, answers, asked

    @classmethod
    async def start(cls) -> Process:
        """Start one.

        :raises OSError: there is no room for another process.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.to_thread(_spawn, theirs)
        return cls(process, *await asyncio.open_connection(sock=ours))

    async def ask(self, reads: Reads, packing: Packing, raw: Bytes, carefully: bool) -> Found:
        """Send it a body, and wait for what it finds.

        :param carefully: whether one pass over it didn't tell.
        :raises OSError, EOFError: it ended before it answered.
        """
        find, packed = _encode(reads), _encode(packing)
        self._asked.write(_HEAD.pack(len(find), len(packed), len(raw), carefully) + find + packed)
        self._asked.write(raw)
        length, size = _LENGTHS.unpack(await self._answers.readexactly(_LENGTHS.size))
        found = _decode_found(await self._answers.readexactly(length))
        if not found.decoded:
            return found
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
        """End it, whatever it does."""
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


def _answer(reads: bytes, packing: Packing, raw: bytes, carefully: bool) -> tuple[Found, bytes | bytearray]:
    reader = _reader(reads)
    try:
        fields = reader.read_carefully(raw) if carefully else reading.read(reader, raw, packing)
    except BodyError as error:
        return Found(reject=error.reject), b""
    except TooLongError:
        return Found(longer=True), b""
    decoded = fields.decoded
    if isinstance(fields.values, Unread):
        return Found(unread=fields.values.reject, decoded=decoded is not None), decoded or b""
    values, sizes, places = tuple(fields.values.items()), tuple(fields.sizes.items()), tuple(fields.places.items())
    found = Found(values, sizes, places=places, decoded=decoded is not None)
    return found, decoded or b""


@lru_cache(maxsize=4)  # two kinds of path, and a reload changes what is read
def _reader(reads: bytes) -> BodyReader:
    return BodyReader(_decode_reads(reads))


if __name__ == "__main__":
    main()
