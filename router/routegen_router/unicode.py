"""What the JSON parser leaves open about a body's characters: UTF-8 in skipped parts, and lone surrogate escapes."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Final

_SLICE: Final = 64 * 1024
_ESCAPED: Final = rb"\\u[dD]"
_HIGH: Final = _ESCAPED + rb"[89abAB][0-9a-fA-F][0-9a-fA-F]"
_LOW: Final = _ESCAPED + rb"[c-fC-F][0-9a-fA-F][0-9a-fA-F]"
# Both branches share their beginning: a pattern that begins with fixed text is searched for 30 times as fast, and a
# search holds Python's lock.
_LONE: Final = re.compile(
    rb"%b(?:[89abAB][0-9a-fA-F][0-9a-fA-F](?!%b)|(?<!%b%b)[c-fC-F][0-9a-fA-F][0-9a-fA-F])"
    % (_ESCAPED, _LOW, _HIGH, _ESCAPED)
)
_PAIR: Final = re.compile(_HIGH + _LOW)
_ESCAPE: Final = 6
"""Bytes of an escape such as ``\\ud800``."""
_ESCAPED_BACKSLASH: Final = rb"\\"
_STAND_IN: Final = b"\xff\xff"
"""Two bytes that no UTF-8 text holds."""

REPLACEMENT: Final = "\ufffd"
"""What :func:`without_lone_surrogates` puts in a lone surrogate's place."""


def first_invalid_byte(raw: bytes | memoryview) -> int | None:
    """The position of the first byte that isn't UTF-8, or ``None``. Takes constant memory."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(raw), _SLICE):
        part = bytes(raw[start : start + _SLICE])
        pending = len(decoder.getstate()[0])
        if not pending and part.isascii():
            continue
        try:
            decoder.decode(part, final=start + _SLICE >= len(raw))
        except UnicodeDecodeError as error:
            return start - pending + error.start
    return None


def without_lone_surrogates(raw: bytes) -> bytes | None:
    r"""A copy of a JSON text in which unpaired surrogate escapes read ``\ufffd``; ``None`` if there are none.

    JSON allows them (RFC 8259, section 8.2) and engines accept them in prompts, while the parser refuses them
    anywhere. The copy is as long as the original, so positions stay true. ``raw`` must be UTF-8.
    """
    if rb"\u" not in raw:
        return None
    # Escaped backslashes step aside first: every backslash that is left then begins an escape.
    plain = raw.replace(_ESCAPED_BACKSLASH, _STAND_IN)
    mended = b"".join(_LONE.sub(rb"\\ufffd", part) for part in _parts(plain))
    return None if mended == plain else mended.replace(_STAND_IN, _ESCAPED_BACKSLASH)


def _parts(plain: bytes) -> Iterator[bytes]:
    """Slices that split no pair, so that other threads get their turn between them."""
    start = 0
    while start < len(plain):
        cut = plain.find(b"\\", start + _SLICE)
        if cut < 0:
            cut = len(plain)
        elif _PAIR.match(plain, cut - _ESCAPE):
            cut -= _ESCAPE
        yield plain[start:cut]
        start = cut
