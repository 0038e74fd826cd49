"""What the measuring process tells while it works: one JSON line an event, on its standard output.

Measuring has a process of its own because everything else (drawing, sampling resources) would take the interpreter
from it for milliseconds at a time, and show up as the engine's latency.
"""

from __future__ import annotations

from typing import Final

import msgspec


class Warming(msgspec.Struct, frozen=True, tag=True):
    """Warm-up of these arms begins."""

    arms: tuple[str, ...]


class Started(msgspec.Struct, frozen=True, tag=True):
    """A part begins."""

    block: int
    arms: tuple[str, ...]


class Answered(msgspec.Struct, frozen=True, tag=True):
    """A request has ended; times in seconds."""

    arm: str
    ttft: float | None
    e2e: float | None
    tokens: int | None
    error: str | None


class Finished(msgspec.Struct, frozen=True, tag=True):
    """A block is complete and on disk."""

    block: int


class Looking(msgspec.Struct, frozen=True, tag=True):
    """A planned look: the measuring process waits to hear whether to go on (:data:`GO_ON`, :data:`ENOUGH`)."""

    blocks: int


GO_ON: Final = b"go on\n"
ENOUGH: Final = b"enough\n"

Event = Warming | Started | Answered | Finished | Looking

encode: Final = msgspec.json.Encoder().encode
decode: Final = msgspec.json.Decoder(Event).decode
