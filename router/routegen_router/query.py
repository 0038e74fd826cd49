"""The query of a request's target: the parameters that rules read.

Decoded as browsers and API clients write them (WHATWG URL, "application/x-www-form-urlencoded parsing"): percent
escapes of UTF-8, ``+`` for a blank. What is no UTF-8 becomes U+FFFD, which no name holds.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from urllib.parse import parse_qsl


def read(query: str, names: Container[str]) -> tuple[Mapping[str, str], str | None]:
    """The parameters called so, and the first of them that stands twice, if any does.

    :param query: what stands behind the question mark.
    """
    found: dict[str, str] = {}
    twice = None
    for name, value in parse_qsl(query, keep_blank_values=True, errors="replace"):
        if name in names:
            twice = twice or (name if name in found else None)
            found.setdefault(name, value)
    return found, twice
