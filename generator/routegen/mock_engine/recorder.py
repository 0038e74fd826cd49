"""What an engine received, byte for byte."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from collections import deque
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

MAX_REQUESTS: Final = 5_000
MAX_BYTES: Final = 128 * 1024 * 1024
"""Sum of the bodies that are kept; the oldest requests go first."""
MAX_WATCHING: Final = 100
"""As many of the requests for metrics and health are kept."""
WATCHED: Final = ("/metrics", "/health")
SHOWN_BYTES: Final = 64 * 1024
"""Bodies up to this size are part of :meth:`Received.document`; of larger ones it has the length and digest only."""


@dataclass(frozen=True)
class Received:
    """One request as it arrived."""

    method: str
    target: str
    """Path and query as they stood in the request line."""
    version: str
    """``1.1``"""
    headers: tuple[tuple[str, str], ...]
    """In order, repetitions and all; names as sent."""
    body: bytes

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @cached_property
    def sha256(self) -> str:
        """The body's digest in hex."""
        return hashlib.sha256(self.body).hexdigest()

    @property
    def json(self) -> Any:
        """The body as JSON.

        :raises ValueError: it isn't JSON.
        """
        return json.loads(self.body)

    def header(self, name: str) -> tuple[str, ...]:
        """All values of the header ``name``, whatever its case."""
        return tuple(value for key, value in self.headers if key.lower() == name.lower())

    def document(self) -> dict[str, Any]:
        """As ``GET /_received`` shows it."""
        shown = base64.b64encode(self.body).decode() if len(self.body) <= SHOWN_BYTES else None
        return {
            "method": self.method,
            "target": self.target,
            "version": self.version,
            "headers": [list(pair) for pair in self.headers],
            "body": {"length": len(self.body), "sha256": self.sha256, "base64": shown},
        }


class Recorder:
    """The last requests, oldest first, within :data:`MAX_REQUESTS` and :data:`MAX_BYTES`.

    What asks for metrics and health again and again (an endpoint picker: 20 times a second) is kept apart, so that it
    pushes nothing else out.
    """

    def __init__(self) -> None:
        self._kept: deque[tuple[int, Received]] = deque()
        self._watching: deque[tuple[int, Received]] = deque(maxlen=MAX_WATCHING)
        self._numbers = itertools.count()
        self._bytes = 0
        self.total = 0
        """How many there were, forgotten ones included, and without those that watch."""

    def add(self, received: Received) -> None:
        """Keep one request, and forget the oldest ones where it gets too much."""
        if received.method == "GET" and received.path in WATCHED:
            self._watching.append((next(self._numbers), received))
            return
        self.total += 1
        self._kept.append((next(self._numbers), received))
        self._bytes += len(received.body)
        while len(self._kept) > MAX_REQUESTS or (self._bytes > MAX_BYTES and len(self._kept) > 1):
            self._bytes -= len(self._kept.popleft()[1].body)

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()
        self._watching.clear()
        self._bytes = 0

    @property
    def requests(self) -> tuple[Received, ...]:
        """All that are kept."""
        return tuple(received for _, received in sorted([*self._kept, *self._watching], key=lambda pair: pair[0]))

    @property
    def asked(self) -> tuple[Received, ...]:
        """Those that don't just watch."""
        return tuple(received for _, received in self._kept)

    def generations(self) -> tuple[Received, ...]:
        """Those with method POST: all but health checks and polls."""
        return tuple(received for _, received in self._kept if received.method == "POST")
