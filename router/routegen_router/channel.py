"""What a router's first process and its workers say to each other over a socket pair: JSON, its length in front."""

from __future__ import annotations

import asyncio
import struct
from typing import Final

import msgspec

from .logs import Format
from .models import Answer, Known
from .tallies import Family

_LENGTH: Final = struct.Struct("!I")


class Told(msgspec.Struct, frozen=True):
    """What is known of one backend, without what its configuration says."""

    answer: Answer | None
    asked: bool
    alive: bool


class Begin(msgspec.Struct, frozen=True, tag=True):
    """The first message to a worker: what it is."""

    number: int
    """Which one it is, from 1 on."""
    workers: int
    """How many there are."""
    listen: tuple[str, ...]
    socket_mode: int
    max_body_bytes: int
    log_level: str
    log_format: Format


class Use(msgspec.Struct, frozen=True, tag=True):
    """What to decide by; answered by :class:`Using`."""

    turn: int
    """Counts these messages."""
    config: str
    """The configuration file's content."""
    origin: str
    """Its name, for errors."""
    authorizations: dict[str, str]
    """Backend -> what goes on its requests. Secret."""
    told: dict[str, Told]
    serving: bool
    """As :class:`Serve` says it: one that is begun anew takes requests from its first moment."""


class Learn(msgspec.Struct, frozen=True, tag=True):
    """Something new is known of engines: all that is."""

    told: dict[str, Told]


class Serve(msgspec.Struct, frozen=True, tag=True):
    """Whether gateways are told that requests are welcome."""

    serving: bool


class End(msgspec.Struct, frozen=True, tag=True):
    """Finish what is under way, and end."""


class Listening(msgspec.Struct, frozen=True, tag=True):
    """A worker listens: on these addresses, with their true ports."""

    addresses: list[str]


class Failed(msgspec.Struct, frozen=True, tag=True):
    """A worker can't do what it was told, and ends."""

    problem: str


class Using(msgspec.Struct, frozen=True, tag=True):
    """A worker decides by what the message of this turn said."""

    turn: int


class Counted(msgspec.Struct, frozen=True, tag=True):
    """All that a worker has counted so far."""

    families: list[Family]


ToWorker = Begin | Use | Learn | Serve | End
FromWorker = Listening | Failed | Using | Counted

_encode: Final = msgspec.json.Encoder().encode
_decode_to: Final = msgspec.json.Decoder(ToWorker).decode
_decode_from: Final = msgspec.json.Decoder(FromWorker).decode


def tell(known: Known) -> Told:
    """What a worker needs of it."""
    return Told(known.answer, known.asked, known.alive)


def write(writer: asyncio.StreamWriter, message: ToWorker | FromWorker) -> None:
    """Send a message; it waits in memory where the other side is busy."""
    data = _encode(message)
    writer.write(_LENGTH.pack(len(data)) + data)


async def read_to(reader: asyncio.StreamReader) -> ToWorker | None:
    """The next message to a worker; ``None``: the other side has ended."""
    data = await _read(reader)
    return None if data is None else _decode_to(data)


async def read_from(reader: asyncio.StreamReader) -> FromWorker | None:
    """The next message of a worker; ``None``: it has ended."""
    data = await _read(reader)
    return None if data is None else _decode_from(data)


async def _read(reader: asyncio.StreamReader) -> bytes | None:
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        return await reader.readexactly(length)
    except (asyncio.IncompleteReadError, OSError):
        return None
