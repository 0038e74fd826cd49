"""Server-sent events and OpenAI's chunks in them, from bytes that may be cut anywhere.

The format is the WHATWG HTML standard's, section 9.2.6: lines end in LF, CR LF or CR, ``data`` lines of one event are
joined, comments (a colon first; servers send them to keep connections open) mean nothing. Lines may be of any length.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

DONE: Final = b"[DONE]"
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")


class Reader:
    """Bytes in as they arrive, the data of whole events out."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0
        self._data: list[bytes] = []

    def feed(self, piece: bytes) -> list[bytes]:
        """The data of every event that ``piece`` completes."""
        self._buffer += piece
        events = []
        start = 0
        for match in _LINE_END.finditer(self._buffer, self._scanned):
            if match.end() == len(self._buffer) and match.group() == b"\r":
                break  # its LF may still come
            event = self._line(bytes(self._buffer[start : match.start()]))
            start = match.end()
            if event is not None:
                events.append(event)
        del self._buffer[:start]
        self._scanned = max(len(self._buffer) - 1, 0)
        return events

    def close(self) -> list[bytes]:
        """What is left at the stream's end, where a server has saved itself the last blank line."""
        return [*self.feed(b"\n"), *self.feed(b"\n")]

    def _line(self, line: bytes) -> bytes | None:
        if not line:
            event = b"\n".join(self._data) if self._data else None
            self._data.clear()
            return event
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
        return None


class Delta(msgspec.Struct):
    """What a chat chunk adds; engines differ in what they call reasoning."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class Choice(msgspec.Struct):
    """The first choice is the only one that is asked for."""

    delta: Delta | None = None
    text: str | None = None
    finish_reason: str | None = None


class Details(msgspec.Struct):
    """``usage.prompt_tokens_details``."""

    cached_tokens: int | None = None


class Usage(msgspec.Struct):
    """Token counts."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: Details | None = None


class Chunk(msgspec.Struct):
    """One event of a streamed chat completion or completion, as far as it is measured."""

    choices: list[Choice] = []
    usage: Usage | None = None
    error: Any = None

    @property
    def content(self) -> bool:
        """Whether it holds text that is no reasoning."""
        return any(choice.text or (choice.delta and choice.delta.content) for choice in self.choices)

    @property
    def reasoning(self) -> bool:
        """Whether it holds reasoning."""
        return any(
            choice.delta and (choice.delta.reasoning_content or choice.delta.reasoning) for choice in self.choices
        )

    @property
    def finish(self) -> str | None:
        """The finish_reason, once it is there."""
        return next((choice.finish_reason for choice in self.choices if choice.finish_reason), None)


def decode(event: bytes) -> Chunk:
    """Read one event's data.

    :raises msgspec.MsgspecError: it isn't such a chunk.
    """
    return _decoder.decode(event)


_decoder: Final = msgspec.json.Decoder(Chunk)
