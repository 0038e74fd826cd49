"""Reading request bodies: exact about the fields that rules read, indifferent to everything else."""

from __future__ import annotations

import json
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest

from routegen_router.body import BodyReader
from routegen_router.config import reads
from routegen_router.refusals import BodyError
from routegen_router.request import Source
from routegen_router.rules import Lookup
from routegen_router.when import Condition
from support.bodies import READER


def read(text: str | bytes) -> dict[str, str]:
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    return {".".join(path): value for path, value in READER.read(raw).values.items()}


def refused(text: str | bytes) -> tuple[str, str | None]:
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    with pytest.raises(BodyError) as caught:
        READER.read(raw)
    assert caught.value.reject.status == 400
    return caught.value.reject.code, caught.value.reject.param


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", {}),
        (' \t\r\n{ "model" : "m" } \n', {"model": "m"}),
        ('{"inference_server":"vllm","model":"m"}', {"inference_server": "vllm", "model": "m"}),
        ('{"mod\\u0065l":"\\u6a21\\u578b"}', {"model": "模型"}),
        ('{"model":"\\ud83d\\ude00"}', {"model": "😀"}),
        ('{"model":null,"inference_server":null}', {}),
        ('{"metadata":null}', {}),
        ('{"metadata":[{"engine":"x"}]}', {}),
        ('{"metadata":"engine"}', {}),
        ('{"metadata":{"engine":"x","inference_server":"y","model":5}}', {"metadata.engine": "x"}),
        ('{"metadata":{"a":{"b":"x","engine":"y"}}}', {"metadata.a.b": "x"}),
        ('{"metadata":{"a":7,"engine":"y"},"model":null}', {"metadata.engine": "y"}),
        ('{"x":{"model":"m"},"model":"n","y":[{"model":"o"}]}', {"model": "n"}),
        ('{"messages":[{"content":"{\\"model\\":\\"x\\"}"}],"model":"m"}', {"model": "m"}),
        ('{"Model":"m","model ":"m","":"m"}', {}),
        ('{"model":"","user":"u"}', {"model": "", "user": "u"}),
        ('{"x":1e999,"y":' + "9" * 5000 + ',"model":"m"}', {"model": "m"}),
        ('{"x":1,"x":2,"model":"m"}', {"model": "m"}),
    ],
)
def test_fields_are_found_at_their_level_only(text: str, expected: dict[str, str]) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"stream":true}', "true"),
        ('{"stream":false}', "false"),
        ('{"stream":"true"}', "true"),
        ('{"stream":1.0}', "1.0"),
        ('{"stream": -2e3 ,"x":1}', "-2e3"),
        ('{"stream":null}', None),
        ('{"stream":[true]}', None),
        ('{"stream":{"a":1}}', None),
        ('{"stream":' + "1" * 65 + "}", None),
    ],
)
def test_a_condition_field_may_hold_any_scalar(text: str, expected: str | None) -> None:
    assert read(text).get("stream") == expected


@pytest.mark.parametrize(
    "beside",
    [
        '"x":{"stream":false}',
        '"x":[{"stream":"a"},{"stream":1}]',
        '"x":["stream","stream"]',
        '"x":"\\\\\\"stream\\":true,\\"stream\\":true"',
        '"x\\"stream":1',
        '"x":"\\u0073tream \\ud800"',
        '"b":true,"b":false',
        '"metadata":{"stream":true}',
    ],
)
@pytest.mark.parametrize("value", ["true", "1.50", '"true"'])
def test_what_only_looks_like_a_condition_field_is_no_second_one(beside: str, value: str) -> None:
    for text in (f'{{"stream":{value},{beside}}}', f'{{{beside},"stream" : {value} }}'):
        assert read(text) == {"stream": value.strip('"')}


@pytest.mark.parametrize("name", ["a/b", "a.b", "a$", "模型", "😀", "a true", ""])
def test_a_condition_field_of_any_name_is_found_twice_however_it_is_spelled(name: str) -> None:
    when = (Condition(pattern="true", source=Source(body=(name,))),)
    reader = BodyReader(reads([Lookup(name="k", source=Source(body=("k",)), when=when)]))
    spellings = [json.dumps(name), json.dumps(name, ensure_ascii=False), json.dumps(name).replace("/", "\\/")]
    spellings.append('"' + "".join(f"\\u{unit.hex()}" for unit in units(name)) + '"')
    for one in spellings:
        assert reader.read(f"{{{one}:true}}".encode()).values == {(name,): "true"}
        for other in spellings:
            with pytest.raises(BodyError, match="more than once"):
                reader.read(f"{{{one}:true,{other}:true}}".encode())


def units(text: str) -> list[bytes]:
    encoded = text.encode("utf-16-be")
    return [encoded[at : at + 2] for at in range(0, len(encoded), 2)]


@pytest.mark.parametrize("value", ["5", "true", "1.5", "[]", "{}", '["a"]', '[null,"a"]'])
@pytest.mark.parametrize("path", ["model", "inference_server", "user", "metadata.engine"])
def test_a_routing_field_of_a_wrong_type_is_refused(path: str, value: str) -> None:
    text = '{"metadata":{"engine":%s}}' if path == "metadata.engine" else f'{{"{path}":%s}}'
    assert refused(text % value) == ("invalid_type", path)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('{"model":"a","model":"a"}', "model"),
        ('{"model":"a","x":{"model":"b"},"mod\\u0065l":"c"}', "model"),
        ('{"model":null,"model":"a"}', "model"),
        ('{"model":"a","model":null}', "model"),
        ('{"model":null,"model":"a","model":null}', "model"),
        ('{"model":5,"model":"a"}', "model"),
        ('{"model":"a","model":5}', "model"),
        ('{"model":[],"model":null}', "model"),
        ('{"user":"a","user":"b"}', "user"),
        ('{"metadata":{"engine":"a","engine":"b"}}', "metadata.engine"),
        ('{"metadata":{"engine":"a"},"metadata":{"engine":"b"}}', "metadata.engine"),
        ('{"metadata":{"engine":"a"},"metadata":{}}', "metadata"),
        ('{"metadata":{},"metadata":{"x":1}}', "metadata"),
        ('{"metadata":{"engine":"a"},"metadata":null}', "metadata"),
        ('{"metadata":null,"metadata":{"engine":"a"}}', "metadata"),
        ('{"metadata":{"a":{},"\\u0061":{}}}', "metadata.a"),
        ('{"stream":"a","stream":"b"}', "stream"),
        ('{"stream":1,"stream":"b"}', "stream"),
        ('{"stream":"b","stream":true}', "stream"),
        ('{"stream":true,"stream":"b"}', "stream"),
        ('{"stream":true,"stream":true}', "stream"),
        ('{"stream":true,"\\u0073tream":false}', "stream"),
        ('{"\\u0073\\u0054ream":1,"stream":1,"str\\u0065am" : 2.5e3 }', "stream"),
        ('{"stream":1,"stream":null}', "stream"),
        ('{"stream":null,"stream":false}', "stream"),
        ('{"stream":1,"stream":[]}', "stream"),
        ('{"stream":{},"stream":-1}', "stream"),
        ('{"stream":true,"p":"\\ud800","stream":false}', "stream"),
        ('{"stream":true,"stream":' + "1" * 65 + "}", "stream"),
        ('{"metadata":{"a":{"b":true,"b":false}}}', "metadata.a.b"),
        ('{"metadata":{"a":{"b":"x","b":7}}}', "metadata.a.b"),
    ],
)
def test_a_field_that_stands_twice_at_its_level_is_refused(text: str, path: str) -> None:
    assert refused(text) == ("duplicate_field", path)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"nul",
        b'{"model":"a"',
        b'{"model":"a"} x',
        b'{"model":"a",}',
        b"{'model':'a'}",
        b'{"x":NaN}',
        b'{"x":Infinity}',
        b'{"x":01}',
        b'{"x":"\x01"}',
        b'{"x":"\\x"}',
        b'{"x":"\xff"}',
        b'{"\xff":1}',
        b'{"x":"\xed\xa0\x80"}',
        b'{"x":"' + b"a" * 70_000 + b'\xc3"}',
        b'{"x":"' + b"a" * 65_529 + b'\xe6\xa8"}',
        b'\xef\xbb\xbf{"model":"a"}',
        '{"model":"a"}'.encode("utf-16"),
        '{"model":"a"}'.encode("utf-32-le"),
        b'{"model":5,"x":nul}',
        b"[1,",
        b'{"model":"\\ud800"}',
        b'{"model":"\\ud800","model2":null,"user":5.}',
        b'{"x":' * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"model":null,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_what_is_not_json_in_utf8_is_refused(raw: bytes) -> None:
    assert refused(raw) == ("invalid_json", None)


@pytest.mark.parametrize("text", ["[]", "null", '"model"', "5", "true", ' [{"model":"a"}]'])
def test_a_top_level_that_is_no_object_is_refused(text: str) -> None:
    assert refused(text) == ("invalid_request_body", None)


@pytest.mark.parametrize(
    "text",
    [
        '{"prompt":"\\ud800","model":"m\\\\ud800"}',
        '{"prompt":"\\uDC00 \\uD83D\\uDE00\\ude00","model":"m\\\\ud800"}',
        '{"prompt":"\\\\\\ud800\\\\ud83d\\ude00","model":"m\\\\ud800"}',
        '{"\\ud800":1,"model":"m\\\\ud800","stream":null}',
        '{"prompt":"\\ud800\\ud83d\\ude00","model":"m\\\\ud800","user":null}',
    ],
)
def test_lone_surrogate_escapes_pass_outside_routing_fields(text: str) -> None:
    assert read(text) == {"model": "m\\ud800"}


@pytest.mark.parametrize(
    ("spelled", "value"),
    [
        ("\\ufffd", "\ufffd"),
        ("\ufffd", "\ufffd"),
        ("\\ud83d\\ude00", "😀"),
        ("\\uD55C\\uAE00 \\uf55c\\ub55c", "한글 \uf55c\ub55c"),
        ("d\\\\ud800 \\\\uD800 \\\\uf800 \\\\uB800", "d\\ud800 \\uD800 \\uf800 \\uB800"),
        ("😀\\uDBFF\\uDFFF", "😀\U0010ffff"),
    ],
)
@pytest.mark.parametrize(
    "beside", ["\\ud800", "\\uDC00", "\\ud800\\ud83d\\ude00\\udc00", "\\ud83d" + "x" * 99 + "\\ud83d"]
)
@pytest.mark.parametrize("text", ['{"p":"%s","user":"%s"}', '{"p":"%s","model":null,"x":"\\ud800","user":"%s"}'])
def test_a_routing_field_beside_lone_surrogates_is_read_as_it_stands(
    text: str, beside: str, spelled: str, value: str
) -> None:
    assert read(text % (beside, spelled)) == {"user": value}


@pytest.mark.parametrize("field", ["model", "user", "inference_server", "stream"])
@pytest.mark.parametrize("spelled", ["\\ud800", "\\udc00\\ud800", "a\\ud83d\\ude00\\ude00", "\ufffd\\ud83d"])
def test_half_a_surrogate_pair_in_a_routing_field_is_refused(field: str, spelled: str) -> None:
    assert refused(f'{{"{field}":"{spelled}"}}') == ("invalid_json", None)
    assert refused(f'{{"p":"\\udc00","{field}":"{spelled}"}}') == ("invalid_json", None)


@pytest.mark.parametrize("key", ["한국", "\\ud55c\\uad6d", "\\uD55C국"])
def test_a_key_that_may_be_spelled_like_a_surrogate_is_found_beside_one(key: str) -> None:
    reader = BodyReader(reads([Lookup(name="k", source=Source(body=("한국",)))]))
    body = f'{{"p":"\\ud800","{key}":"\\ud83d\\ude00","\\uf55c국":"x","땜국":"x"}}'
    assert reader.read(body.encode()).values == {("한국",): "😀"}
    with pytest.raises(BodyError, match="half a surrogate pair"):
        reader.read(f'{{"{key}":"\\ud800"}}'.encode())
    with pytest.raises(BodyError, match="given more than once"):
        reader.read(f'{{"p":"\\ud800","{key}":"a","한국":"a"}}'.encode())


@pytest.mark.parametrize(
    ("raw", "position"),
    [
        (b'{"x":nope}', 6),
        (b'{"x":"\xff"}', 6),
        (b'{"x":"' + b"a" * 65_529 + b'\xe6"}', 65_535),
        (b'{"x":"' + b"a" * 200_000 + b'\xe6"}', 200_006),
        (b'{"p":"\\ud800","x":nope}', 19),
    ],
)
def test_the_message_says_where_the_text_stops_being_json(raw: bytes, position: int) -> None:
    with pytest.raises(BodyError, match=rf"\(byte {position}\)"):
        READER.read(raw)


@pytest.mark.parametrize(
    "text",
    [
        '{"model":"canary","x":canary}',
        '{"model":"canary","model":"canary"}',
        '{"model":["canary"]}',
        '{"canary":"canary"',
        '["canary"]',
        '{"x":"canary\x01"}',
        '{"model":"canary\\ud800"}',
    ],
)
def test_a_refusal_never_repeats_the_body(text: str) -> None:
    with pytest.raises(BodyError) as caught:
        READER.read(text.encode())
    assert "canary" not in caught.value.reject.message
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "body", [b'{"model":[' + b"[]," * 2_000_000 + b"[]]}", b"{" + b'"model":"a",' * 500_000 + b'"x":1}']
)
def test_a_hostile_value_costs_no_memory(body: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(BodyError):
        READER.read(body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < len(body) / 10


def test_threads_do_not_see_each_others_fields() -> None:
    bodies = [f'{{"model":"{number}","x":"{"y" * 20_000}"}}'.encode() for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        fields = list(pool.map(READER.read, bodies * 5))
    assert [found.model for found in fields] == [str(number) for number in range(200)] * 5
