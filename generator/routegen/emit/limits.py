"""Limits that every target sets alike."""

from __future__ import annotations

from typing import Final

DECISION: Final = 5.0
"""Seconds for each of the router's replies, counted from the moment the whole body is sent; more is 504.
Envoy's default of 200 ms is too short for large bodies on a busy machine."""

UPLOAD: Final = 300.0
"""Seconds in which a request must be read to its end. 32 MiB need 0.9 Mbit/s."""

IDLE_UPLOAD: Final = 10.0
"""Seconds without a byte of a request's body before it is given up (408)."""

SILENCE: Final = 3600.0
"""Seconds without a byte in either direction before a generation is given up; there is no limit on its whole time."""

CONNECT: Final = 1.0
"""Seconds in which an engine must take a connection: for so long does one that is gone without a word hold up a request
before it goes to its second choice. A busy engine's kernel takes connections at once."""

KEEP_ALIVE: Final = 4.0
"""Seconds that an idle connection to an engine is kept: less than the 5 s after which uvicorn, the server of vLLM
and SGLang, closes it. A request on a connection that is just being closed would fail, and a POST isn't retried."""

PARALLEL: Final = 10_000
"""Requests at one engine, or at the router, at a time, in place of Envoy's 1024: a generation holds its request for
minutes, and queueing is the engines' business. More is 503, so that an engine that has stopped answering can't collect
requests without end."""

SENT_AGAIN: Final = 1 << 20
"""Bytes of the longest body that Envoy keeps until its answer has ended, in case it must be sent again, where there is
nobody else to send it to: two copies while the engine takes its time, and one for as long as it answers."""

ROUTER_CONNECTION: Final = 3600.0
"""Seconds that a TLS connection to the router lives: for at most so long does one count whose certificate has ended."""
