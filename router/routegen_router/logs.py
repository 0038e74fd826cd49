"""Structured logs: one line an event on stderr, as JSON or as text.

What an event says besides its message is in ``extra={"fields": {...}}``. No request body, header value or credential
is ever passed there, and an exception's own text, which may quote what it was raised about, is left out.
"""

from __future__ import annotations

import io
import logging
import select
import sys
import threading
import traceback
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Literal, TextIO

import msgspec

Format = Literal["json", "text"]
LEVELS: Final = ("debug", "info", "warning", "error")
_WHOLE: Final = getattr(select, "PIPE_BUF", 512)
"""Bytes that a pipe takes in one piece (POSIX, ``write``)."""
_JSON: Final = msgspec.json.Encoder()
_log = logging.getLogger("routegen")


def configure(level: str, style: Format, always: Mapping[str, object] | None = None) -> LineHandler:
    """Log to stderr: routegen's loggers from ``level`` on, libraries' from ``warning`` on.

    :param always: fields that every line ends with.
    """
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(line_buffering=False)  # the handler says when to write
    handler = LineHandler(sys.stderr, (JsonFormatter if style == "json" else TextFormatter)(always))
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(logging.WARNING)
    logging.getLogger("routegen").setLevel(level.upper())
    return handler


def tell_uncaught() -> None:
    """Let exceptions that nobody catches, in any thread, be lines of the log too: no tracebacks, which quote them."""

    def tell(error: BaseException | None) -> None:
        for one in _single(error):
            _log.critical("ended by an exception", exc_info=one)

    sys.excepthook = lambda _kind, error, _trace: tell(error)
    threading.excepthook = lambda told: tell(told.exc_value)


class LineFormatter(logging.Formatter):
    """One line an event."""

    def __init__(self, always: Mapping[str, object] | None = None) -> None:
        """:param always: fields that every line ends with."""
        super().__init__()
        self._always = dict(always or {})

    @abstractmethod
    def line(self, created: float, level: str, logger: str, message: str, fields: Mapping[str, object]) -> str:
        """Write one line.

        :param created: when it happened, in Unix seconds.
        """

    def format(self, record: logging.LogRecord) -> str:
        """Write the line of a log record."""
        return self.line(record.created, record.levelname.lower(), record.name, record.getMessage(), _fields(record))


class JsonFormatter(LineFormatter):
    """One JSON object a line: ``time`` (UTC), ``level``, ``logger``, ``message``, then the event's fields."""

    def line(self, created: float, level: str, logger: str, message: str, fields: Mapping[str, object]) -> str:
        """Write one line."""
        head = {"time": _time(created), "level": level, "logger": logger, "message": message}
        return _JSON.encode({**head, **fields, **self._always}).decode()


class TextFormatter(LineFormatter):
    """For people: time, level, message, ``key=value``."""

    def line(self, created: float, level: str, logger: str, message: str, fields: Mapping[str, object]) -> str:
        """Write one line; the logger's name is left out."""
        del logger
        told = "".join(f" {key}={_plain(value)}" for key, value in {**fields, **self._always}.items())
        return f"{_time(created)} {level:7} {message}{told}"


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes lines as they come, or many at once."""

    def __init__(self, stream: TextIO, formatter: LineFormatter) -> None:
        super().__init__(stream)
        self.setFormatter(formatter)
        self._line = formatter.line

    def write_all(
        self, level: str, logger: str, message: str, events: Iterable[tuple[float, dict[str, object]]]
    ) -> None:
        """Write a line for each event (when, fields), many in one system call.

        Log records would say the same at twice the cost, which counts where every request has a line.
        """
        lines = [self._line(created, level, logger, message, fields) + "\n" for created, fields in events]
        self.acquire()
        try:
            for piece in _pieces(lines):
                self.stream.write(piece)
                self.flush()
        finally:
            self.release()


def _pieces(lines: Iterable[str]) -> Iterator[str]:
    """As many lines together as a pipe takes whole: between them another worker's may come, and never within one."""
    piece: list[str] = []
    size = 0
    for line in lines:
        length = len(line) if line.isascii() else len(line.encode())
        if piece and size + length > _WHOLE:
            yield "".join(piece)
            piece, size = [], 0
        piece.append(line)
        size += length
    if piece:
        yield "".join(piece)


def _single(error: BaseException | None) -> Iterator[BaseException]:
    """A task group's exceptions each by itself."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _single(one)
    elif error is not None:
        yield error


def _time(created: float) -> str:
    """UTC with milliseconds (RFC 3339)."""
    return f"{_second(int(created))}.{int(created % 1 * 1000):03d}Z"


@lru_cache(maxsize=8)
def _second(whole: int) -> str:
    return datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _fields(record: logging.LogRecord) -> dict[str, object]:
    fields: dict[str, object] = getattr(record, "fields", {})
    if record.exc_info and record.exc_info[0] is not None:
        kind, _, trace = record.exc_info
        where = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(trace)]
        fields = {**fields, "exception": kind.__name__, "stack": where}
    return fields


def _plain(value: object) -> str:
    """Text as it is where that can't be mistaken, else as JSON."""
    text = value if isinstance(value, str) else ""
    return text if text.isprintable() and text and not set(' "=') & set(text) else msgspec.json.encode(value).decode()
