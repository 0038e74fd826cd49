r"""Where a body's keys stand, whatever level they are at, and their scalars as text.

The parser tells of every string that it meets at a field, but not of ``true``, ``false`` and numbers. For a field where
those count too, :meth:`Keys.may_repeat` says at the price of a search whether its key can stand
twice, and :meth:`Keys.as_text` makes strings of them, so that the parser tells.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import islice
from typing import Final

from .request import Bytes

_SCALAR: Final = rb"(true|false|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)(?=[ \t\n\r,}])"


class Keys:
    """Keys of these names, wherever they stand in a body that is valid JSON."""

    def __init__(self, names: Collection[str]) -> None:
        # Python's regular expressions search bytes faster than bytes.find.
        self._plain = [re.compile(re.escape(f'"{name}"').encode()) for name in names]
        # Spelled as they are, or with an escape that the next pattern finds.
        self._findable = all(name.isascii() and "/" not in name for name in names)
        sixteens = "".join(sorted({f"{ord(char) >> 4:x}" for char in "".join(names)}))
        self._escaped = re.compile(rf"\\u00[{sixteens or '0'}]".encode())
        spellings = b"|".join(map(spelled, names))
        # A quote after a backslash is a piece of a string; one before a name and a colon begins a key.
        self._scalars = re.compile(rb'((?<!\\)"(?:' + spellings + rb')"[ \t\n\r]*:[ \t\n\r]*)' + _SCALAR)

    def may_repeat(self, raw: Bytes) -> bool:
        """Whether one of these keys can stand twice; ``False`` is certain."""
        if not self._findable or self._escaped.search(raw):
            return True
        return any(len(list(islice(name.finditer(raw), 2))) > 1 for name in self._plain)

    def as_text(self, raw: bytes) -> bytes:
        """The same body with a string for every ``true``, ``false`` and number that is the value of such a key."""
        return self._scalars.sub(rb'\1"\2"', raw)


def spelled(name: str) -> bytes:
    """A pattern of all ways to spell a key in JSON."""
    return "".join(map(_spelled, name)).encode()


def _spelled(char: str) -> str:
    """A pattern of all ways to spell a character in JSON; quotes, backslashes and control characters are in no name."""
    units = char.encode("utf-16-be").hex()
    escaped = "".join(rf"\\u(?i:{units[at : at + 4]})" for at in range(0, len(units), 4))
    return f"(?:{re.escape(char)}|{escaped})" if char != "/" else rf"(?:\\?/|{escaped})"
