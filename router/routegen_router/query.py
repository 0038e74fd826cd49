"""The query of a request's target: the parameters that rules read.

Decoded as browsers and API clients write them (WHATWG URL, "application/x-www-form-urlencoded parsing"): percent
escapes of UTF-8, ``+`` for a blank. What is no UTF-8 becomes U+FFFD, which no name holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_plus


def read(query: str, names: Iterable[str]) -> tuple[Mapping[str, str], str | None]:
    """The parameters called so, up to the first that stands twice, and its name, if any does.

    A query may have 60 KB, and thousands of parameters that nobody reads: these are only passed over, in one search.

    :param query: what stands behind the question mark.
    """
    wanted = tuple(names)
    found: dict[str, str] = {}
    for match in _pattern(wanted).finditer(query):
        name = next(name for index, name in enumerate(wanted, start=1) if match.start(index) >= 0)
        if name in found:
            return found, name
        found[name] = unquote_plus(match["value"] or "", errors="replace")
    return found, None


_PLAIN: Final = {" ": "[ +]", "%": "%(?![0-9a-fA-F]{2})", "&": "", "=": "", "+": ""}
"""How characters that mean something in a query stand there without an escape, if they can."""


@lru_cache(maxsize=64)
def _pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    """Each name as a group of its own, however it is escaped, and what stands behind its equals sign."""
    groups = "|".join(f"({''.join(map(_written, name))})" for name in names)
    return re.compile(f"(?:^|&)(?:{groups})(?==|&|$)(?:=(?P<value>[^&]*))?" if names else r"(?!)")


def _written(char: str) -> str:
    """A character of a name in any of its spellings."""
    escaped = "".join(f"%{byte:02x}" for byte in char.encode())
    plain = _PLAIN.get(char, re.escape(char))
    either = "|".join(filter(None, (plain, f"(?i:{escaped})")))
    return f"(?:{either})"
