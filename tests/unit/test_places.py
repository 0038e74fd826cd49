"""Changed bodies: exactly the bytes that are meant change, whatever the body looks like."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routegen_router.body import BodyReader
from routegen_router.config import Reads
from routegen_router.places import Locator, edited
from routegen_router.reading import packing, read
from routegen_router.refusals import BodyError
from routegen_router.request import MODEL, FieldPath
from support.multipart import FORM, field, file, form

ENGINE, NESTED = ("inference_server",), ("metadata", "engine")
READS = Reads(frozenset(), frozenset({MODEL, ENGINE, NESTED}), frozenset()).placing({MODEL, ENGINE, NESTED})
READER = BodyReader(READS)
NEW = "Qwen/Qwen2.5-7B-Instruct"
MIB = 1 << 20


def renamed(raw: bytes, new: str = NEW) -> bytes:
    fields = READER.read(raw)
    return b"".join(edited(raw, [(fields.places[MODEL], msgspec.json.encode(new))], []))


def stripped(raw: bytes, *paths: FieldPath) -> bytes:
    fields = READER.read(raw)
    return b"".join(edited(raw, [], [fields.places[path] for path in paths if path in fields.places]))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"model":"m"}', b'{"model":"NEW"}'),
        (b' {\n"model" :\t"m" }\n', b' {\n"model" :\t"NEW" }\n'),
        (b'{"mod\\u0065l":"m"}', b'{"mod\\u0065l":"NEW"}'),
        (b'{"\\u006D\\u006f\\u0064\\u0065\\u006C":"\\u006d"}', b'{"\\u006D\\u006f\\u0064\\u0065\\u006C":"NEW"}'),
        (
            b'{"a":{"model":"m"},"model":"m","b":[{"model":"m"}]}',
            b'{"a":{"model":"m"},"model":"NEW","b":[{"model":"m"}]}',
        ),
        (b'{"x":"\\"model\\":\\"m\\"","model":"m"}', b'{"x":"\\"model\\":\\"m\\"","model":"NEW"}'),
        (b'{"model":"m","x":"m","model2":"m"}', b'{"model":"NEW","x":"m","model2":"m"}'),
        ('{"ä":"模","model":"模型","ö":1}'.encode(), '{"ä":"模","model":"NEW","ö":1}'.encode()),
        (b'{"model":"\\ud83d\\ude00","x":"\\ud83d"}', b'{"model":"NEW","x":"\\ud83d"}'),
        (b'{"x":"\\ud800 \\udfff","model":"m","y":"\\ud800"}', b'{"x":"\\ud800 \\udfff","model":"NEW","y":"\\ud800"}'),
        (b'{"model":"m","inference_server":null}', b'{"model":"NEW","inference_server":null}'),
        (b'{":":":","model":":"}', b'{":":":","model":"NEW"}'),
        (b'{"model":"","x":[1e3,true,null]}', b'{"model":"NEW","x":[1e3,true,null]}'),
    ],
)
def test_only_the_one_string_changes(raw: bytes, expected: bytes) -> None:
    assert renamed(raw, "NEW") == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"inference_server":"a"}', b"{}"),
        (b'{ "inference_server" : "a" }', b"{  }"),
        (b'{"inference_server":"a","x":1}', b'{"x":1}'),
        (b'{"x":1, "inference_server":"a"}', b'{"x":1}'),
        (b'{"x":1, "inference_server":"a", "y":2}', b'{"x":1, "y":2}'),
        (b'{"x":1 , "inf\\u0065rence_server" : null ,\n"y":2}', b'{"x":1 , "y":2}'),
        (b'{"x":1,"inference_server":"a","metadata":{"engine":"b"}}', b'{"x":1,"metadata":{}}'),
        (b'{"metadata":{"x":[],"engine":"b"},"y":{"engine":"b"}}', b'{"metadata":{"x":[]},"y":{"engine":"b"}}'),
        (b'{"x":{"inference_server":"b"}}', b'{"x":{"inference_server":"b"}}'),
        (b'{"metadata":"engine","x":1}', b'{"metadata":"engine","x":1}'),
    ],
)
def test_a_member_is_taken_out_with_its_comma(raw: bytes, expected: bytes) -> None:
    assert stripped(raw, ENGINE, NESTED) == expected


def test_members_in_a_row_are_taken_out_together() -> None:
    reads = Reads(frozenset(), frozenset({("a",), ("b",), ("c",)}), frozenset())
    reader = BodyReader(reads.placing({("a",), ("b",), ("c",)}))
    for text, expected in (
        ('{"a":"1","b":"2","c":"3"}', "{}"),
        ('{"x":0,"a":"1","b":"2"}', '{"x":0}'),
        ('{"a":"1","b":"2","x":0}', '{"x":0}'),
        ('{"a":"1","x":0,"b":"2"}', '{"x":0}'),
        ('{"x":0,"a":"1","y":0,"b":"2","c":"3","z":0}', '{"x":0,"y":0,"z":0}'),
        ('{"x":0,"a":"1","y":0,"b":"2","c":"3"}', '{"x":0,"y":0}'),
    ):
        raw = text.encode()
        assert b"".join(edited(raw, [], reader.read(raw).places.values())) == expected.encode()


@pytest.mark.parametrize(
    "raw",
    [
        b'{"inference_server":null,"inference_server":null}',
        b'{"inference_server":null,"inf\\u0065rence_server":null}',
        b'{"metadata":{"engine":null,"engine":null}}',
    ],
)
def test_what_is_taken_out_may_stand_there_only_once(raw: bytes) -> None:
    assert BodyReader(Reads(frozenset(), READS.chosen, frozenset())).read(raw).model is None
    with pytest.raises(BodyError) as caught:
        READER.read(raw)
    assert caught.value.reject.code == "duplicate_field"


TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | TEXT
    | st.sampled_from(["model", "m", '"model":"m"', "inference_server"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(TEXT | st.sampled_from(["model", "engine", "inference_server"]), inner, max_size=3)
    ),
    max_leaves=12,
)
KEYS = st.sampled_from(["model", "inference_server", "x", "models", "Model", "\\", '"', ":"]) | TEXT


def spell(document: Any, draw: st.DataObject) -> str:
    """Some JSON for it: escapes and white space where they may be."""
    space = st.sampled_from(["", "", " ", "\n\t"])
    match document:
        case dict():
            members = [f"{spell(key, draw)}{draw.draw(space)}:{spell(value, draw)}" for key, value in document.items()]
            return f"{draw.draw(space)}{{{draw.draw(space)}{','.join(members)}}}{draw.draw(space)}"
        case list():
            return f"[{','.join(spell(value, draw) for value in document)}]{draw.draw(space)}"
        case str():
            units = [
                json.dumps(char)[1:-1] if draw.draw(st.booleans()) or char in '"\\' or char < " " else char
                for char in document
            ]
            return (
                '"'
                + "".join(
                    f"\\u{ord(unit):04x}"
                    if len(unit) == 1 and unit < "\x7f" and draw.draw(st.integers(0, 4)) == 0
                    else unit
                    for unit in units
                )
                + '"'
            )
        case _:
            return json.dumps(document) + draw.draw(space)


@settings(max_examples=200, deadline=None)
@given(document=st.dictionaries(KEYS, VALUES, max_size=6), model=TEXT, new=TEXT, data=st.data())
def test_a_renamed_body_differs_in_the_model_alone(
    document: Mapping[str, Any], model: str, new: str, data: st.DataObject
) -> None:
    document = {key: value for key, value in document.items() if key not in {"inference_server", "metadata"}}
    items = [*document.items(), ("model", model)]
    items.insert(data.draw(st.integers(0, len(items))), ("inference_server", "s"))
    text = spell(dict(items), data)
    raw = text.encode()
    fields = READER.read(raw)
    place = fields.places[MODEL]
    assert json.loads(raw[place.value : place.end]) == fields.model == model
    changed = renamed(raw, new)
    assert (changed[: place.value], changed[place.value + len(msgspec.json.encode(new)) :]) == (
        raw[: place.value],
        raw[place.end :],
    )
    assert json.loads(changed) == {**json.loads(raw), "model": new}
    without = json.loads(raw)
    del without["inference_server"]
    assert json.loads(stripped(raw, ENGINE)) == without
    assert len(stripped(raw, ENGINE)) < len(raw)


@pytest.mark.parametrize("size", [100, 10_000, MIB, 32 * MIB])
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bodies_of_any_length_and_kind(size: int, kind: type) -> None:
    text = '{"m": "model" } é " ' * (size // 20)
    raw = json.dumps({"x": text, "model": "m", "y": text}, ensure_ascii=False).encode()
    fields = READER.read(kind(raw))
    assert b"".join(edited(raw, [(fields.places[MODEL], b'"n"')], [])) == raw.replace(
        b'"model": "m",', b'"model": "n",'
    )


def test_a_forms_field_is_changed_or_taken_out_alike() -> None:
    parts = field("model", "m"), file(b"\r\nmodel"), field("inference_server", "sglang")
    raw = form(*parts)
    fields = read(READER, raw, packing(FORM, (), 0))
    changed = edited(raw, [(fields.places[MODEL], NEW.encode())], [fields.places[ENGINE]])
    assert b"".join(changed) == form(field("model", NEW), parts[1])


def test_white_space_of_any_length_is_passed() -> None:
    blank = b" \n" * 100_000
    raw = b"{" + blank + b'"model"' + blank + b":" + blank + b'"m"' + blank + b"," + blank + b'"x":1' + blank + b"}"
    assert renamed(raw, "n") == raw.replace(b'"m"', b'"n"')
    place = Locator([MODEL]).find(raw)[MODEL]
    assert b"".join(edited(raw, [], [place])) == b"{" + blank + b'"x":1' + blank + b"}"
