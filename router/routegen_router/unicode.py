r"""What the JSON parser leaves open about a body's characters: UTF-8 in skipped parts, and lone surrogate escapes.

The parser refuses a lone surrogate (``\ud83d`` without its other half) wherever it stands, while JSON allows it (RFC
8259, section 8.2) and engines take it in prompts. So such a body is read in a copy where surrogates are spelled
otherwise. Finding out which are lone takes some 100 ns each, 20 ms a megabyte. :func:`respelled` therefore spells any
``\ud`` as ``\uf``, which is no surrogate and as good JSON, in two searches; and where a value that is read might have
been changed by that, ``\ub`` makes a second reading, and :func:`restored` finds in the two what really stood there.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import Final

from .request import Bytes

_SLICE: Final = 64 * 1024
_ESCAPED: Final = rb"\\u[dD]"
_HIGH: Final = _ESCAPED + rb"[89abAB][0-9a-fA-F][0-9a-fA-F]"
_LOW: Final = _ESCAPED + rb"[c-fC-F][0-9a-fA-F][0-9a-fA-F]"
# Both branches share their beginning: a pattern that begins with fixed text is searched for 30 times as fast, and a
# search holds Python's lock.
_LONE: Final = re.compile(
    rb"\\u[dD]((?:[89abAB][0-9a-fA-F][0-9a-fA-F](?!%b)|(?<!%b\\u[dD])[c-fC-F][0-9a-fA-F][0-9a-fA-F]))" % (_LOW, _HIGH)
)
_PAIR: Final = re.compile(_HIGH + _LOW)
_FIRST_HALF: Final = re.compile(_HIGH)
_ESCAPE: Final = 6
"""Bytes of an escape such as ``\\ud800``."""
_ESCAPED_BACKSLASH: Final = rb"\\"
_STAND_IN: Final = b"\xff\xff"
"""Two bytes that no UTF-8 text holds."""
_RESPELLED: Final = re.compile(r"[\uf000-\uffff]|\\u[fF]")

FIRST: Final = b"f"
SECOND: Final = b"b"
"""What stands for ``d`` in the first and in the second reading."""


def first_invalid_byte(raw: Bytes) -> int | None:
    """The position of the first byte that isn't UTF-8, or ``None``. Takes constant memory."""
    view, at = memoryview(raw), 0
    while at < len(view):
        ends = at + _SLICE
        try:
            at += codecs.utf_8_decode(view[at:ends], "strict", ends >= len(view))[1]  # a cut character is left over
        except UnicodeDecodeError as error:
            return at + error.start
    return None


def span(raw: bytes, place: int, reach: int) -> slice:
    """What to respell where a parser has stopped at ``place``, at or just behind a lone surrogate.

    :param reach: how many bytes behind it to include.
    """
    start = max(place - 2 * _ESCAPE, 0)
    if _FIRST_HALF.match(raw, max(start - _ESCAPE, 0), start):
        start -= _ESCAPE  # don't part a pair
    return slice(start, place + reach)


def respelled(raw: bytes, digit: bytes, spans: Iterable[slice]) -> bytes:
    r"""A copy of a JSON text in which ``\ud…`` within ``spans`` reads ``\uf…``.

    It has no surrogates there, is JSON where the original is JSON but for those, and is as long, so that positions
    stay true.

    :param digit: what ``d`` becomes: :data:`FIRST` or :data:`SECOND`.
    """
    for part in spans:
        piece = raw[part].replace(rb"\ud", rb"\u" + digit).replace(rb"\uD", rb"\u" + digit.upper())
        raw = raw[: part.start] + piece + raw[part.stop :]
    return raw


def lone_respelled(raw: bytes, digit: bytes) -> bytes:
    r"""Like :func:`respelled`, but all lone surrogates and nothing else; slow. ``raw`` must be UTF-8."""
    # Escaped backslashes step aside first: every backslash that is left then begins an escape.
    plain = raw.replace(_ESCAPED_BACKSLASH, _STAND_IN)
    template = rb"\\u" + digit + rb"\1"
    return b"".join(_LONE.sub(template, part) for part in _parts(plain)).replace(_STAND_IN, _ESCAPED_BACKSLASH)


def maybe_respelled(text: str) -> bool:
    """Whether a string of the first reading may have read otherwise before."""
    return _RESPELLED.search(text) is not None


def restored(first: str, second: str) -> str:
    r"""What stood in the body where the two readings are ``first`` and ``second``.

    By arithmetic on all characters at once, since a body may hold millions of them. Where the two differ, either U+D…
    stood there and they are U+F… and U+B…; or ``d`` did, in the text of an escape that itself is escaped (``\\ud``),
    and they are ``f`` and ``b``, or all of that in capitals. In each case the first differs from what stood there in
    the bit below the one in which the two differ.

    :raises UnicodeDecodeError: half a surrogate pair.
    """
    if first == second:
        return first
    one, two = (text.encode("utf-16-le") for text in (first, second))
    read = int.from_bytes(one, "little")
    stood = read ^ (read ^ int.from_bytes(two, "little")) >> 1
    return stood.to_bytes(len(one), "little").decode("utf-16-le")


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
