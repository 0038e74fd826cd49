"""Characters in request bodies: where UTF-8 ends, and lone surrogate escapes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routegen_router.unicode import (
    FIRST,
    SECOND,
    first_invalid_byte,
    lone_respelled,
    maybe_respelled,
    respelled,
    restored,
    span,
)


@pytest.mark.parametrize("before", [0, 1, 65_533, 65_534, 65_535, 65_536, 200_000])
@pytest.mark.parametrize("broken", [b"\xff", b"\xc3(", b"\xe6\xa8", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf"])
def test_the_first_byte_that_is_not_utf8_is_found_across_slices(before: int, broken: bytes) -> None:
    raw = b"a" * before + broken
    with pytest.raises(UnicodeDecodeError) as caught:
        raw.decode()
    assert first_invalid_byte(raw) == caught.value.start == before


@pytest.mark.parametrize("shift", [0, 1, 2, 3])
def test_characters_that_cross_slices_are_valid(shift: int) -> None:
    assert first_invalid_byte(("a" * shift + "模😀é" * 40_000).encode()) is None


PIECES = st.lists(
    st.sampled_from(
        [r"\ud83d", r"\uDE00", r"\ud83d\ude00", r"\\", r"\n", "a", "ud83d", "模", r"\uf83d", r"\uB83D", "\uf83d"]
    ),
    max_size=12,
)


def is_lone(char: str) -> bool:
    return "\ud800" <= char <= "\udfff"


@given(PIECES, st.integers(0, 12))
def test_every_lone_surrogate_and_nothing_else_is_respelled(pieces: list[str], shift: int) -> None:
    # Long enough for a slice to end anywhere in the pieces.
    text = '"' + "a" * (65_536 - 6 * shift) + "".join(pieces) + '"'
    copy = lone_respelled(text.encode(), FIRST)
    expected = "".join(chr(ord(char) + 0x2000) if is_lone(char) else char for char in json.loads(text))
    assert json.loads(copy) == expected
    assert len(copy) == len(text.encode())


@pytest.mark.parametrize("piece", [r"\ud800", r"\udc00", r"\ud83d\ude00", r"\ud800\ud83d\ude00"])
def test_long_runs_of_surrogates_are_cut_between_pairs(piece: str) -> None:
    text = '"' + piece * 40_000 + r"\udc00" + '"'
    copy = lone_respelled(text.encode(), FIRST)
    expected = "".join(chr(ord(char) + 0x2000) if is_lone(char) else char for char in json.loads(text))
    assert json.loads(copy) == expected


@given(PIECES, PIECES, st.integers(0, 40))
def test_what_stood_there_is_found_in_two_readings(before: list[str], after: list[str], reach: int) -> None:
    raw = ('"' + "".join(before) + r"\ud800" + "".join(after) + '"').encode()
    place = 1 + len("".join(before).encode()) + 6
    spans = [span(raw, place, reach)]
    copies = [respelled(raw, digit, spans) for digit in (FIRST, SECOND)]
    assert {len(copy) for copy in copies} == {len(raw)}
    first, second = (
        json.loads(copy).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace") for copy in copies
    )
    if "\ufffd" in first:
        return  # a lone surrogate that these spans leave alone; the parser refuses it
    truth = json.loads(raw)
    if any(map(is_lone, truth)):
        with pytest.raises(UnicodeDecodeError):
            restored(first, second)
    else:
        assert restored(first, second) == truth
    if first == truth:
        return
    assert maybe_respelled(first)
