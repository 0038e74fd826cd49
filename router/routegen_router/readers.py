"""Processes beside the router's that read the bodies which would hold up its event loop.

A pass over a body holds Python's lock, in a thread too, and everything else waits for it: a third of a millisecond a
megabyte for plain text, ten times that for bodies made to be slow. So the loop makes one pass over bodies of up to
:data:`AT_ONCE` bytes, which nearly always tells; what is longer, or needs more passes, goes to a reader process, over a
socket, piece by piece. A reader knows nothing of rules: it is told with each body which fields to find.

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
from collections.abc import Iterator
from functools import lru_cache
from typing import BinaryIO, Final

import msgspec

from . import memory
from .body import SHORT, BodyReader, Fields
from .config import Reads
from .refusals import BodyError, Reject
from .request import MODEL, FieldPath, Measure
from .turns import Turns

AT_ONCE: Final = 256 * 1024
"""Longer bodies are read by a reader process."""
CAREFULLY: Final = SHORT
"""Of shorter bodies, those up to this length are read on the event loop even where one pass doesn't tell."""
READERS: Final = 2
"""Processes: more would only hold more bodies in memory. Who reads next is for :mod:`~routegen_router.turns`."""
NICENESS: Final = 10
"""Where processors are scarce, the event loop goes first."""

_HEAD: Final = struct.Struct("!IQ?")
"""Before a request: the lengths of the fields' description and of the body, and whether one pass didn't tell."""
_LENGTH: Final = struct.Struct("!I")
"""Before an answer."""


class _Found(msgspec.Struct, frozen=True):
    """A reader's answer."""

    values: tuple[tuple[FieldPath, str], ...] = ()
    sizes: tuple[tuple[Measure, int], ...] = ()
    reject: Reject | None = None


_encode: Final = msgspec.json.Encoder().encode
_decode_found: Final = msgspec.json.Decoder(_Found).decode
_decode_reads: Final = msgspec.json.Decoder(Reads).decode


class Readers:
    """Lives on one event loop. Reader processes are started when they are first needed, and again after they ended."""

    def __init__(self) -> None:
        self._turns = Turns(READERS)
        self._idle: list[_Process] = []

    async def read(self, reads: Reads, reader: BodyReader, raw: bytes | memoryview) -> Fields | Reject:
        """Read a body, here or in a reader process.

        :param reader: for ``reads``.
        :raises OSError, EOFError: the reader process ended before it answered.
        """
        short = len(raw) <= AT_ONCE
        try:
            if short:
                fields = reader.read_at_once(raw)
                if fields is not None:
                    return fields
                if len(raw) <= CAREFULLY:
                    return reader.read_carefully(bytes(raw))
        except BodyError as error:
            return error.reject
        await self._turns.take(len(raw))
        work = asyncio.ensure_future(self._read_elsewhere(_encode(reads), raw, short))
        try:
            found = await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait([work])  # what it holds in memory stays counted; a reader isn't left half asked
            raise
        values = dict(found.values)
        return found.reject or Fields(values.get(MODEL), values, dict(found.sizes))

    async def _read_elsewhere(self, reads: bytes, raw: bytes | memoryview, carefully: bool) -> _Found:
        """Ask a reader process; its turn has come, and ends with this."""
        try:
            process = self._idle.pop() if self._idle else await _Process.start()
            try:
                found = await process.ask(reads, raw, carefully)
            except BaseException:
                process.end()
                raise
            self._idle.append(process)
            return found
        finally:
            self._turns.give_back(len(raw))

    def close(self) -> None:
        """End the idle reader processes; the others end with this process at the latest."""
        while self._idle:
            self._idle.pop().end()


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

    async def ask(self, reads: bytes, raw: bytes | memoryview, carefully: bool) -> _Found:
        self._asked.write(_HEAD.pack(len(reads), len(raw), carefully) + reads)
        self._asked.write(raw)
        (length,) = _LENGTH.unpack(await self._answers.readexactly(_LENGTH.size))
        return _decode_found(await self._answers.readexactly(length))

    def end(self) -> None:
        self._asked.close()
        self._process.kill()
        self._process.wait()


def _spawn(channel: socket.socket) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", __name__]
    return subprocess.Popen(command, stdin=channel.fileno(), stdout=channel.fileno())  # noqa: S603 - this very module


def main() -> None:
    """Answer requests on standard input until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the router too, which drains
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    memory.keep_freed()
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    for reads, raw, carefully in _requests(source):
        answer = _encode(_answer(reads, raw, carefully))
        del raw
        sink.write(_LENGTH.pack(len(answer)) + answer)
        sink.flush()


def _requests(source: BinaryIO) -> Iterator[tuple[bytes, bytes, bool]]:
    while len(head := source.read(_HEAD.size)) == _HEAD.size:
        described, length, carefully = _HEAD.unpack(head)
        yield source.read(described), source.read(length), carefully


def _answer(reads: bytes, raw: bytes, carefully: bool) -> _Found:
    reader = _reader(reads)
    try:
        fields = reader.read_carefully(raw) if carefully else reader.read(raw)
        return _Found(tuple(fields.values.items()), tuple(fields.sizes.items()))
    except BodyError as error:
        return _Found(reject=error.reject)


@lru_cache(maxsize=4)  # two kinds of path, and a reload changes what is read
def _reader(reads: bytes) -> BodyReader:
    return BodyReader(_decode_reads(reads))


if __name__ == "__main__":
    main()
