"""Tells decisions: counts them and logs a line for each, in batches.

One at a time, between two requests, this would cost as much as deciding does: each time the code has to come back into
the processor's caches, and each line is a system call that hands Python's lock to another thread. A batch pays once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from .messages import HEALTH, Answer, Routed
from .metrics import Decided, Metrics

INTERVAL: Final = 0.1
"""Seconds that a decision may wait to be told."""
MOST: Final = 1000
"""Decisions that may wait."""

_log = logging.getLogger("routegen.decisions")


Write = Callable[[str, str, str, list[tuple[float, dict[str, object]]]], None]
"""Takes level, logger and message of all lines, and when and what fields for each."""


class Journal:
    """Lives on one event loop."""

    def __init__(self, metrics: Metrics, write: Write) -> None:
        """Start empty.

        :param write: writes log lines, all at once.
        """
        self._metrics, self._write = metrics, write
        self._waiting: list[Decided] = []

    def add(self, reply: Routed | Answer, seconds: float, body_bytes: int, request_id: str) -> None:
        """Note a decision; it is told within :data:`INTERVAL`."""
        if not self._waiting:
            asyncio.get_running_loop().call_later(INTERVAL, self.flush)
        self._waiting.append(Decided(time.time(), reply, seconds, body_bytes, request_id))
        if len(self._waiting) >= MOST:
            self.flush()

    def flush(self) -> None:
        """Tell all that waits now."""
        waiting, self._waiting = self._waiting, []
        self._metrics.decided(waiting)
        told = [decided for decided in waiting if not _is_health_check(decided)]
        if told and _log.isEnabledFor(logging.INFO):
            self._write("info", _log.name, "decision", [(decided.at, _fields(decided)) for decided in told])


def _is_health_check(decided: Decided) -> bool:
    """Whether it is a good answer to a health check: they come every second and say nothing new."""
    return isinstance(decided.reply, Answer) and decided.reply.metadata.get("answer") == HEALTH


def _fields(decided: Decided) -> dict[str, object]:
    reply = decided.reply
    if isinstance(reply, Routed):
        fields: dict[str, object] = {"outcome": "routed", "backend": reply.backend, "rule": reply.rule}
    else:
        fields = {"outcome": "rejected" if reply.code else "answered", "status": reply.status}
        if reply.code is not None:
            fields["code"] = reply.code
        if "rule" in reply.metadata:
            fields["rule"] = reply.metadata["rule"]
    fields["milliseconds"] = round(decided.seconds * 1000, 3)
    fields["body_bytes"] = decided.body_bytes
    if decided.request_id:
        fields["request_id"] = decided.request_id
    return fields
