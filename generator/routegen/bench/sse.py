"""Server-sent events and OpenAI's chunks in them, from bytes that may be cut anywhere.

The format is the WHATWG HTML standard's, section 9.2.6: lines end in LF, CR LF or CR, ``data`` lines of one event are
joined, ``event`` names its type, comments (a colon first; servers send them to keep connections open) mean nothing.
Lines may be of any length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec

DONE: Final = b"[DONE]"
ERROR: Final = b"error"
"""The type of an event that ends a failed stream."""
MESSAGE: Final = frozenset({b"", b"message"})
"""The types of an event that is a piece of the answer."""
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")


class Event(NamedTuple):
    """One event as it was sent."""

    data: bytes
    type: bytes = b""
    """Empty where the server names none, which means ``message``."""


class Reader:
    """Bytes in as they arrive, whole events out.

    An event with a type and no data is given too: browsers drop it, but servers end a failed stream with a bare
    ``event: error``.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0
        self._data: list[bytes] = []
        self._type = b""

    def feed(self, piece: bytes) -> list[Event]:
        """Every event that ``piece`` completes."""
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

    def close(self) -> list[Event]:
        """What is left at the stream's end, where a server has saved itself the last blank line."""
        return [*self.feed(b"\n"), *self.feed(b"\n")]

    def _line(self, line: bytes) -> Event | None:
        if not line:
            event = Event(b"\n".join(self._data), self._type) if self._data or self._type else None
            self._data.clear()
            self._type = b""
            return event
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
        elif name == b"event":
            self._type = value.removeprefix(b" ")
        return None


class Function(msgspec.Struct):
    """What a tool call says."""

    name: str | None = None
    arguments: str | None = None


class ToolCall(msgspec.Struct):
    """A piece of a tool call."""

    function: Function | None = None


class Delta(msgspec.Struct):
    """What a chat chunk adds; engines differ in what they call reasoning."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    function_call: Function | None = None


class Choice(msgspec.Struct):
    """The first choice is the only one that is asked for."""

    delta: Delta | None = None
    text: str | None = None
    finish_reason: str | None = None
    error: Any = None


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

    choices: list[Choice] | None = None
    """``None``: the event is no chunk at all, unless it holds usage; the last chunk's list is empty."""
    usage: Usage | None = None
    error: Any = None
    object: str | None = None

    @property
    def content(self) -> str:
        """Its text that is no reasoning: words, a refusal, a tool call."""
        return "".join([piece for choice in self.choices or () for piece in _content(choice)])

    @property
    def reasoning(self) -> str:
        """Its reasoning."""
        deltas = [choice.delta for choice in self.choices or () if choice.delta]
        return "".join([delta.reasoning_content or delta.reasoning or "" for delta in deltas])

    @property
    def finish(self) -> str | None:
        """The finish_reason, once it is there."""
        return next((choice.finish_reason for choice in self.choices or () if choice.finish_reason), None)

    @property
    def failed(self) -> bool:
        """Whether it tells of an error, in any of the ways that engines and proxies have."""
        return (
            self.error is not None
            or self.object == "error"
            or any(choice.error is not None for choice in self.choices or ())
        )

    @property
    def alien(self) -> bool:
        """Whether it is no part of an answer."""
        return self.choices is None and self.usage is None


def decode(event: bytes) -> Chunk:
    """Read one event's data.

    :raises msgspec.MsgspecError: it isn't such a chunk.
    """
    return _decoder.decode(event)


def _content(choice: Choice) -> Iterator[str]:
    yield choice.text or ""
    if delta := choice.delta:
        yield delta.content or ""
        yield delta.refusal or ""
        calls = [call.function for call in delta.tool_calls or ()]
        for function in (*calls, delta.function_call):
            if function:
                yield function.name or ""
                yield function.arguments or ""


_decoder: Final = msgspec.json.Decoder(Chunk)
