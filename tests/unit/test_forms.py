"""Forms: the fields that rules read, wherever they stand, and nothing that two readers could understand differently."""

from __future__ import annotations

import contextlib
import random
import tracemalloc
from email.parser import BytesParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routegen_router import forms
from routegen_router.forms import MOST_ALIKE, MOST_HEADERS, MOST_PARTS, MOST_SAID, SLICE, boundary, read
from routegen_router.refusals import BodyError
from support.multipart import BOUNDARY, field, file, form, part

NAMES = frozenset({"model", "inference_server"})
MODEL = field("model", "whisper")
B = BOUNDARY.encode()


def values(raw: bytes, mark: str = BOUNDARY) -> dict[str, str]:
    return dict(read(memoryview(raw), mark, NAMES).values)


def code(raw: bytes, mark: str = BOUNDARY) -> str:
    with pytest.raises(BodyError) as caught:
        read(raw, mark, NAMES)
    return caught.value.reject.code


@pytest.mark.parametrize(
    ("content_type", "found"),
    [
        ("application/json", None),
        ("multipart/mixed; boundary=a", None),
        ("multipart/form-data; boundary=a", "a"),
        ("Multipart/Form-Data ;BOUNDARY=a", "a"),
        ('multipart/form-data; boundary="a b:c"', "a b:c"),
        (r'multipart/form-data; boundary="a\.c"', "a.c"),
        ("multipart/form-data; charset=utf-8; boundary=a", "a"),
        ("multipart/form-data; charset=utf-16; boundary=a", ""),
        ("multipart/form-data", ""),
        ("multipart/form-data; boundary=", ""),
        ("multipart/form-data; boundary=a; boundary=b", ""),
        ("multipart/form-data; boundary=a,multipart/form-data; boundary=b", ""),
        ('multipart/form-data; boundary="a ', ""),
        ('multipart/form-data; boundary="a "', ""),
        ("multipart/form-data; boundary=" + "a" * 70, "a" * 70),
        ("multipart/form-data; boundary=" + "a" * 71, ""),
        ("multipart/form-data; boundary=a@b", ""),
        ("multipart/form-data; boundary=a" + ";" * MOST_SAID, ""),
        ("multipart/form-data; boundary=a" + "; x=y" * MOST_SAID, ""),
        (r'multipart/form-data; boundary="%s"' % (r"\a" * 70), "a" * 70),
        (r'multipart/form-data; boundary="%s"' % (r"\a" * 200), ""),
    ],
)
def test_the_boundary_is_what_the_header_says(content_type: str, found: str | None) -> None:
    assert boundary(content_type) == found


SOUND = random.Random(1).randbytes(3 * SLICE)


@pytest.mark.parametrize(
    "raw",
    [
        form(MODEL),
        form(MODEL, file(SOUND)),
        form(file(SOUND), MODEL),
        form(file(SOUND), MODEL, file(SOUND)),
        form(file(b""), MODEL, field("prompt", "")),
        form(field("language", "en"), MODEL),
        form(MODEL, preamble=b"nobody reads this\r\n"),
        form(MODEL, preamble=b"\r\n"),
        form(MODEL, epilogue=form(field("model", "other"))),
        form(MODEL)[:-2],
        form(MODEL).replace(b"--%b--" % B, b"--%b--  \t" % B),
        form(part("name=model", b"whisper")),
        form(part('NAME="model"', b"whisper")),
        form(part('x=1 ; name="model"', b"whisper")),
        form(part('name="model"', b"whisper", "Content-Type: text/plain; charset=UTF-8")),
        form(part('name="model"', b"whisper", "Content-Transfer-Encoding: 8bit")),
        form(part('name="model"', b"whisper").replace(b"Disposition:", b"disposition:")),
        form(MODEL, part("name=f; filename*=UTF-8''a.wav", b"x")),
        form(MODEL, part('name="f"; filename="C:\\\\a.wav"', b"x", "Content-Type: x")),
        form(MODEL, field("a_model", "x"), field("Model", "x"), field("model[]", "x"), field("mod%65l", "x")),
        form(field("_charset_", "UTF-8"), MODEL),
        # What only looks like a boundary.
        form(MODEL, file(b"\r\n--%bX\r\nContent-Disposition: form-data; name=model\r\n\r\nother" % B)),
        form(MODEL, file(b"\n--%b\n" % B + field("model", "other"))),
        form(MODEL, file(b"\r\n-%b\r\n\r\n--%b \t-\r\n--%b-\r\n\r\r\n--%b" % (B, B, B, B[:-1]))),
        form(MODEL, file((b"\r\n--%b" % B[:-1]) * 10_000)),
        form(MODEL, file((b"\r\n--%bX" % B) * 100_000)),
    ],
    ids=lambda raw: ascii(raw[:40]),
)
def test_the_field_is_found(raw: bytes) -> None:
    assert values(raw) == {"model": "whisper"}


@pytest.mark.parametrize("size", [25 * 1024 * 1024])
@pytest.mark.parametrize("where", ["before", "between", "behind"])
def test_it_is_found_beside_25_mb_of_file_without_a_copy(where: str, size: int) -> None:
    sound = file(bytes(size))
    parts = {"before": (MODEL, sound), "behind": (sound, MODEL), "between": (file(SOUND), MODEL, sound)}[where]
    raw = form(*parts)
    tracemalloc.start()
    try:
        assert values(raw) == {"model": "whisper"}
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("shift", range(-BOUNDARY.__len__() - 8, 3))
def test_a_boundary_across_two_slices_is_found(shift: int) -> None:
    before = form(file(b""))[: -len(BOUNDARY) - 8]
    sound = file(bytes(SLICE + shift - len(before)))
    assert values(form(sound, MODEL)) == {"model": "whisper"}
    assert values(form(MODEL, sound)) == {"model": "whisper"}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", "invalid_form"),
        (b'{"model":"whisper"}', "invalid_form"),
        (form(MODEL, boundary="other"), "invalid_form"),
        (form(MODEL).replace(b"\r\n", b"\n"), "invalid_form"),
        # No end, or one in doubt.
        (form(MODEL)[: -len(B) - 6], "invalid_form"),
        (form(MODEL)[:-4], "invalid_form"),
        (form(MODEL)[:-3], "invalid_form"),
        (form(MODEL)[:-2] + b"x", "invalid_form"),
        (form(file(b"\r\n--%b--x" % B), MODEL), "invalid_form"),
        (form(MODEL, file(b"--%b\r\n" % B + field("model", "other"))), "invalid_form"),
        (form(MODEL).replace(b"--%b\r\n" % B, b"--%b \t\r\n" % B), "invalid_form"),
        (form(file(b"\r\n--%b \r\n" % B + MODEL)), "invalid_form"),
        # Parts without headers, or with headers that are read in two ways.
        (form(b"", MODEL), "invalid_form"),
        (form(b"\r\nvalue", MODEL), "invalid_form"),
        (form(b'Content-Disposition: form-data; name="model"'), "invalid_form"),
        (form(b'Content-Disposition: form-data; name="model"\r\n'), "invalid_form"),
        (form(part('name="model"', b"x", 'Content-Disposition: form-data; name="y"')), "invalid_form"),
        (form(part('name="x"', b"x", "no colon")), "invalid_form"),
        (form(part('name="x"', b"x", " folded: x")), "invalid_form"),
        (form(part('name="x"', b"x", "x: a\rb")), "invalid_form"),
        (form(part('name="x"', b"x", "x: " + "a" * MOST_HEADERS)), "invalid_form"),
        (form(b"Content-Type: text/plain\r\n\r\nx"), "invalid_form"),
        (form(part("filename=x", b"x")), "invalid_form"),
        (form(part('name="x"; name="model"', b"x")), "invalid_form"),
        (form(part("name=x; name*=UTF-8''model", b"x")), "invalid_form"),
        (form(part('name="mod\\el"', b"x")), "invalid_form"),
        (form(part('name="model', b"x")), "invalid_form"),
        (form(part('name="x"y; name="model"', b"x")), "invalid_form"),
        (form(MODEL.replace(b"form-data", b"attachment")), "invalid_form"),
        # Fields that are read, and are more or other than a text.
        (form(MODEL, MODEL), "duplicate_field"),
        (form(MODEL, file(b"", "model")), "duplicate_field"),
        (form(field("inference_server", "a"), field("inference_server", "b")), "duplicate_field"),
        (form(file(b"whisper", "model")), "invalid_type"),
        (form(part("name=model; filename*=UTF-8''x", b"x")), "invalid_type"),
        (form(part("name=model", b"\xff")), "invalid_form"),
        (form(part("name=model", "ä".encode("utf-16"), "Content-Type: text/plain; charset=utf-16")), "invalid_form"),
        (form(part("name=model", b"d2hpc3Blcg==", "Content-Transfer-Encoding: base64")), "invalid_form"),
        (form(field("_charset_", "utf-7"), MODEL), "invalid_form"),
        # Bounds.
        (form(*[field("x", "y")] * (MOST_PARTS + 1)), "invalid_form"),
        (form(file(b"\r\n--%b-x" % B * (MOST_ALIKE + 1)), MODEL), "invalid_form"),
        (form(part('name="x"', b"x", *(f"x{number}: y" for number in range(MOST_SAID))), MODEL), "invalid_form"),
        (form(part('name="x"' + "; x=y" * MOST_SAID, b"x"), MODEL), "invalid_form"),
        (form(part('name="x"' + ";" * MOST_SAID, b"x"), MODEL), "invalid_form"),
    ],
    ids=lambda raw: ascii(raw[-60:]) if isinstance(raw, bytes) else raw,
)
def test_what_could_be_read_in_two_ways_is_refused(raw: bytes, expected: str) -> None:
    assert code(raw) == expected


def test_a_form_without_a_boundary_is_refused() -> None:
    assert code(form(MODEL), "") == "invalid_form"


def test_as_many_parts_as_may_be() -> None:
    assert values(form(*[field("x", "y")] * (MOST_PARTS - 1), MODEL)) == {"model": "whisper"}


def test_places_are_those_of_the_values_and_the_parts() -> None:
    raw = form(file(b"abc"), field("inference_server", "sglang"), MODEL, preamble=b"p\r\n")
    found = read(raw, BOUNDARY, NAMES)
    for name, value in found.values.items():
        place = found.places[name]
        assert raw[place.value : place.end].decode() == value
        assert place.next is not None
        without = raw[: place.start] + raw[place.next :]
        rest = {other: kept for other, kept in found.values.items() if other != name}
        assert values(without) == rest
        assert without == form(
            *(
                piece
                for piece in (file(b"abc"), field("inference_server", "sglang"), MODEL)
                if name.encode() not in piece
            ),
            preamble=b"p\r\n",
        )


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=20)
CONTENTS = st.one_of(
    st.binary(max_size=60),
    st.lists(st.sampled_from([b"\r\n", b"--", B, B[:4], b"-", b" ", b"\n", b"x", b"\r"]), max_size=12).map(b"".join),
)
PARTS = st.one_of(
    st.tuples(st.sampled_from(["model", "inference_server", "x", "Model"]), TEXTS).map(lambda pair: field(*pair)),
    CONTENTS.map(file),
)


@given(st.lists(PARTS, max_size=6), st.sampled_from([b"", b"\r\n", b"pre\r\n"]), st.binary(max_size=20))
def test_where_a_form_is_read_the_standard_library_finds_the_same(
    parts: list[bytes], preamble: bytes, epilogue: bytes
) -> None:
    raw = form(*parts, preamble=preamble, epilogue=epilogue)
    try:
        found = values(raw)
    except BodyError:
        return
    message = BytesParser().parsebytes(f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n".encode() + raw)
    seen: dict[str, list[str]] = {}
    payload = message.get_payload()
    for one in payload if isinstance(payload, list) else []:
        name = one.get_param("name", header="content-disposition")  # type: ignore[union-attr]  # a message's parts are messages
        content = one.get_payload(decode=True)  # type: ignore[union-attr]
        assert isinstance(content, bytes)
        seen.setdefault(str(name), []).append(content.decode(errors="replace"))
    assert {name: [value] for name, value in found.items()} == {
        name: texts for name, texts in seen.items() if name in NAMES
    }


@given(st.binary(max_size=200))
def test_no_bytes_are_too_odd(raw: bytes) -> None:
    for body in (raw, form(raw), form(MODEL, raw), b"--" + B + raw):
        with contextlib.suppress(BodyError):
            assert values(body).keys() <= NAMES


def test_others_get_their_turn_between_slices_and_between_many_parts() -> None:
    long = form(file(bytes(10 * SLICE)), MODEL)
    assert len(list(forms.scan(long, BOUNDARY, NAMES))) >= 10
    assert len(list(forms.scan(form(*[field("x", "y")] * 900), BOUNDARY, NAMES))) >= 10
