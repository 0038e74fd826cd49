"""Content codings: decoded exactly, within bounds, or refused."""

from __future__ import annotations

import contextlib
import itertools
import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routegen_router import codings, reading
from routegen_router.codings import KNOWN, MOST_MEMBERS, TooLongError, decoded, parse
from routegen_router.reading import Packing
from routegen_router.refusals import BodyError, Reject
from support.bodies import READER
from support.encoded import ENCODE, SKIPPABLE, encoded, raw_deflate

MIB = 1 << 20
PAIRS = [*((one,) for one in KNOWN), *itertools.product(KNOWN, KNOWN), ("gzip", "br", "zstd")]


@pytest.mark.parametrize(
    ("header", "applied"),
    [
        ("", ()),
        ("identity", ()),
        (" , identity,", ()),
        ("GZip", ("gzip",)),
        ("x-gzip", ("gzip",)),
        ("gzip, zstd", ("gzip", "zstd")),
        ("br,deflate , identity", ("br", "deflate")),
        ("gzip,gzip,gzip", ("gzip", "gzip", "gzip")),
        ("gzip,gzip,gzip,gzip", None),
        ("compress", None),
        ("x-zstd", None),
        ("gzip zstd", None),
        ("gzip;q=1", None),
        ("aes128gcm, gzip", None),
    ],
)
def test_what_the_header_lists(header: str, applied: tuple[str, ...] | None) -> None:
    assert parse(header) == applied


@pytest.mark.parametrize("applied", PAIRS, ids="-".join)
@given(raw=st.binary(max_size=2000))
def test_what_was_encoded_comes_out_again(applied: tuple[str, ...], raw: bytes) -> None:
    assert decoded(encoded(raw, *applied), applied, len(raw) or 100) == raw


@pytest.mark.parametrize("applied", PAIRS, ids="-".join)
@pytest.mark.parametrize("raw", [b"", b"abc" * 500_000, random.Random(1).randbytes(1_000_000)], ids=len)
def test_long_bodies_come_out_too(applied: tuple[str, ...], raw: bytes) -> None:
    assert decoded(memoryview(encoded(raw, *applied)), applied, len(raw)) == raw


@pytest.mark.parametrize("coding", KNOWN)
@pytest.mark.parametrize("raw", [b"x", random.Random(2).randbytes(100_000), b"abc" * 200_000], ids=len)
def test_exactly_the_limit_passes_and_one_byte_more_does_not(coding: str, raw: bytes) -> None:
    assert decoded(encoded(raw, coding), (coding,), len(raw)) == raw
    with pytest.raises(TooLongError):
        decoded(encoded(raw, coding), (coding,), len(raw) - 1)


@pytest.mark.parametrize("coding", KNOWN)
@given(raw=st.binary(max_size=300), data=st.data())
def test_what_is_cut_off_or_goes_on_is_refused(coding: str, raw: bytes, data: st.DataObject) -> None:
    whole = encoded(raw, coding)
    for body in (whole[: data.draw(st.integers(0, len(whole) - 1))], whole + b"more"):
        with pytest.raises(BodyError) as caught:
            decoded(body, (coding,), MIB)
        assert caught.value.reject.code == "invalid_content_encoding"


@pytest.mark.parametrize("coding", KNOWN)
@given(body=st.binary(max_size=300))
def test_anything_else_is_refused_or_decoded_within_the_bound(coding: str, body: bytes) -> None:
    with contextlib.suppress(BodyError, TooLongError):
        assert len(decoded(body, (coding,), 1000)) <= 1000


@given(raw=st.binary(max_size=300), place=st.integers(0), value=st.integers(1, 255))
def test_a_damaged_gzip_body_is_never_read_as_another_one(raw: bytes, place: int, value: int) -> None:
    body = bytearray(ENCODE["gzip"](raw))
    header = 10  # its time and flags aren't part of the checksum
    place = header + place % (len(body) - header)
    body[place] ^= value
    with contextlib.suppress(BodyError, TooLongError):
        assert decoded(bytes(body), ("gzip",), MIB) == raw  # nothing reads the last bits before the checksum


def test_members_and_frames_in_a_row_are_one_body() -> None:
    gzipped, framed = ENCODE["gzip"], ENCODE["zstd"]
    assert decoded(gzipped(b"a") + gzipped(b"") + gzipped(b"b"), ("gzip",), 2) == b"ab"
    assert decoded(SKIPPABLE + framed(b"a") + SKIPPABLE + framed(b"b"), ("zstd",), 2) == b"ab"
    assert decoded(encoded(gzipped(b"a") + gzipped(b"b"), "zstd"), ("gzip", "zstd"), 2) == b"ab"


@pytest.mark.parametrize(("coding", "empty"), [("gzip", ENCODE["gzip"](b"")), ("zstd", SKIPPABLE)])
def test_empty_members_without_end_are_refused(coding: str, empty: bytes) -> None:
    assert decoded(empty * MOST_MEMBERS, (coding,), 0) == b""
    with pytest.raises(BodyError):
        decoded(empty * (MOST_MEMBERS + 1), (coding,), MIB)


@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_deflate_may_come_without_its_frame(pieces: int) -> None:
    raw = b'{"model":"m"}' * 100
    assert decoded(raw_deflate(raw), ("deflate",), MIB) == raw
    slowly = [raw_deflate(raw)[at : at + pieces] for at in range(0, len(raw_deflate(raw)), pieces)]
    assert b"".join(codings._decoding("deflate", iter(slowly))) == raw


@pytest.mark.parametrize("applied", PAIRS, ids="-".join)
def test_a_bomb_takes_no_more_than_the_bound(applied: tuple[str, ...]) -> None:
    bomb = encoded(bytes(40 * MIB), *applied)
    tracemalloc.start()
    try:
        with pytest.raises(TooLongError):
            decoded(bomb, applied, MIB)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 4 * MIB


def test_a_layer_between_is_bounded_too() -> None:
    bomb = encoded(ENCODE["gzip"](b"") * MOST_MEMBERS * 4, "zstd")
    with pytest.raises(TooLongError):
        decoded(bomb, ("gzip", "zstd"), 10_000)


@pytest.mark.parametrize("applied", PAIRS, ids="-".join)
def test_the_fields_are_those_of_the_decoded_body(applied: tuple[str, ...]) -> None:
    raw = b'{"model":"m","user":"u","x":"' + b"a" * 5000 + b'"}'
    fields = reading.read(READER, encoded(raw, *applied), Packing(applied, MIB))
    assert fields.decoded is not None
    assert (fields.model, bytes(fields.decoded)) == ("m", raw)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (encoded(b'{"model":5}', "gzip"), 400, "invalid_type"),
        (encoded(b"nope", "gzip"), 400, "invalid_json"),
        (b'{"model":"m"}', 400, "invalid_content_encoding"),
        (encoded(bytes(2 * MIB), "gzip"), 413, "request_too_large"),
    ],
)
def test_refusals(body: bytes, status: int, code: str) -> None:
    found = reading.found(READER, body, Packing(("gzip",), MIB))
    assert isinstance(found, Reject)
    assert (found.status, found.code) == (status, code)
