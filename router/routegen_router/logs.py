"""Structured logs: one line an event on stderr, as JSON or as text.

What an event says besides its message is in ``extra={"fields": {...}}``. No request body, header value or credential
is ever passed there, and an exception's own text, which may quote what it was raised about, is left out.
"""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final, Literal, TextIO

import msgspec

Format = Literal["json", "text"]
LEVELS: Final = ("debug", "info", "warning", "error")


def configure(level: str, style: Format) -> LineHandler:
    """Log to stderr: routegen's loggers from ``level`` on, libraries' from ``warning`` on."""
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(line_buffering=False)  # the handler says when to write
    handler = LineHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(logging.WARNING)
    logging.getLogger("routegen").setLevel(level.upper())
    return handler


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes lines as they come, or those of a batch at once."""

    _held = False

    @contextlib.contextmanager
    def batch(self) -> Iterator[None]:
        """Within it lines are collected; at its end they are written. Batches are not nested."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
            self.flush()

    def flush(self) -> None:
        """Write what was collected, unless there is more to come."""
        if not self._held:
            super().flush()


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``time`` (UTC), ``level``, ``logger``, ``message``, then the event's fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one line."""
        return msgspec.json.encode(
            {
                "time": _time(record),
                "level": record.levelname.lower(),
                "logger": record.name,
                "message": record.getMessage(),
                **_fields(record),
            }
        ).decode()


class TextFormatter(logging.Formatter):
    """For people: time, level, message, ``key=value``."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one line."""
        fields = "".join(f" {key}={_plain(value)}" for key, value in _fields(record).items())
        return f"{_time(record)} {record.levelname.lower():7} {record.getMessage()}{fields}"


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


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
