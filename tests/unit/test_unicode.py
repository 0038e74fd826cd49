"""Characters in request bodies: where UTF-8 ends, and lone surrogate escapes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routegen_router.unicode import first_invalid_byte, without_lone_surrogates


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


def test_plain_text_needs_no_copy() -> None:
    assert without_lone_surrogates(rb'{"a":"\\ud800 \ud83d\ude00 \u4f60 \\\\udc00"}') is None


@given(
    st.lists(st.sampled_from([r"\ud83d", r"\uDE00", r"\ud83d\ude00", r"\\", r"\n", "a", "ud83d", "模"]), max_size=12),
    st.integers(0, 12),
)
def test_every_lone_surrogate_and_nothing_else_is_replaced(pieces: list[str], shift: int) -> None:
    # Long enough for a slice to end anywhere in the pieces.
    text = '"' + "a" * (65_536 - 6 * shift) + "".join(pieces) + '"'
    mended = without_lone_surrogates(text.encode()) or text.encode()
    expected = "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in json.loads(text))
    assert json.loads(mended) == expected
    assert len(mended) == len(text.encode())


@pytest.mark.parametrize("piece", [r"\ud800", r"\udc00", r"\ud83d\ude00", r"\ud800\ud83d\ude00"])
def test_long_runs_of_surrogates_are_cut_between_pairs(piece: str) -> None:
    text = '"' + piece * 40_000 + r"\udc00" + '"'
    mended = without_lone_surrogates(text.encode())
    assert mended is not None
    expected = "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in json.loads(text))
    assert json.loads(mended) == expected
