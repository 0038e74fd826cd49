"""Reading request bodies: what must hold for every body, compared with the standard library's parser."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from routegen_router.refusals import BodyError
from support.bodies import DEEPER, ENGINE, NESTED, READER, STREAM

Pairs = list[tuple[str, Any]]


class Object(Pairs):
    """A JSON object with all its pairs."""


def levels(document: Any, path: tuple[str, ...]) -> list[tuple[Object, str]]:
    """Every object on the way to ``path``, with the key that is read in it."""
    if not isinstance(document, Object) or not path:
        return []
    deeper = [level for key, child in document if key == path[0] for level in levels(child, path[1:])]
    return [(document, path[0]), *deeper]


def sightings(document: Any, path: tuple[str, ...]) -> list[Any]:
    """Every value that stands at ``path``."""
    if not path:
        return [document]
    children = [child for key, child in document if key == path[0]] if isinstance(document, Object) else []
    return [value for child in children for value in sightings(child, path[1:])]


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.sampled_from(["", "a", "vllm", "模", "\ud800", "\\ud83d", "\\uD83D", "\ufffd", "\uf800", "\ub800", "한", "😀"])
)
NAMES = st.sampled_from(
    ["model", "inference_server", "metadata", "engine", "stream", "user", "a", "b", "x", "\udc00", "\\"]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda deeper: st.lists(deeper, max_size=3) | st.lists(st.tuples(NAMES, deeper), max_size=4).map(Object),
    max_leaves=12,
)
INNER = st.lists(st.tuples(st.sampled_from(["engine", "engine", "a", "model"]), LEAVES | VALUES), max_size=3).map(
    Object
)
PAIRS = st.tuples(NAMES, LEAVES | VALUES) | st.tuples(st.just("metadata"), INNER | LEAVES)
DOCUMENTS = st.lists(PAIRS, max_size=6).map(Object)


@st.composite
def spelled(draw: st.DrawFn, document: st.SearchStrategy[Any]) -> bytes:
    """A document in one of its many spellings."""

    def space() -> str:
        return draw(st.sampled_from(["", "", "", " ", "\n\t"]))

    def text(value: str) -> str:
        escaped = json.dumps(value)[1:-1] if draw(st.booleans()) else json.dumps(value, ensure_ascii=False)[1:-1]
        if is_lone_surrogate(escaped):
            escaped = json.dumps(value)[1:-1]
        if value and "\\" not in escaped and draw(st.booleans()):
            escaped = "".join(f"\\u{ord(char):04x}" if ord(char) < 0x10000 else char for char in escaped)
        return f'"{escaped}"'

    def write(value: Any) -> str:
        if isinstance(value, Object):
            inner = ",".join(f"{space()}{text(key)}{space()}:{space()}{write(child)}{space()}" for key, child in value)
            return "{" + (inner or space()) + "}"
        if isinstance(value, list):
            return "[" + ",".join(f"{space()}{write(child)}{space()}" for child in value) + "]"
        return text(value) if isinstance(value, str) else json.dumps(value)

    return f"{space()}{write(draw(document))}{space()}".encode()


def twice(document: Any, path: tuple[str, ...]) -> bool:
    """Whether a key on the way to ``path`` stands twice in its object."""
    return any([key for key, _ in level].count(name) > 1 for level, name in levels(document, path))


def last(document: Any, path: tuple[str, ...]) -> Any:
    """The value at ``path`` for a reader that takes the last of equal keys, as engines do; ``None`` if absent."""
    for key in path:
        document = dict(document).get(key) if isinstance(document, Object) else None
    return document


def is_lone_surrogate(value: Any) -> bool:
    return isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value)


ROUTING = [("model",), ENGINE, NESTED, ("user",)]


@settings(max_examples=500, deadline=None)
@given(spelled(DOCUMENTS))
def test_the_reader_agrees_with_a_parser_that_sees_every_pair(raw: bytes) -> None:
    document = json.loads(raw, object_pairs_hook=Object)
    values = [value for path in ROUTING for value in sightings(document, path)]
    try:
        fields, code = READER.read(raw), None
    except BodyError as error:
        fields, code = None, error.reject.code
    # Every refusal has its reason...
    if code == "duplicate_field":
        assert any(twice(document, path) for path in [*ROUTING, STREAM, DEEPER])
    elif code == "invalid_type":
        assert any(value is not None and not isinstance(value, str) for value in values)
    elif fields is None:
        assert code == "invalid_json"
        assert any(
            is_lone_surrogate(value) for path in [*ROUTING, STREAM, DEEPER] for value in sightings(document, path)
        )
    # ...and what is let through can be understood in one way only.
    else:
        for path in ROUTING:
            found = sightings(document, path)
            assert fields.values.get(path) == last(document, path)
            if isinstance(last(document, path[:-1]), Object):
                assert len(found) <= 1 or all(value is None for value in found)
        for path in (STREAM, DEEPER):
            found = sightings(document, path)
            assert len(found) <= 1 or not any(isinstance(value, bool | int | str) for value in found)
        stream = last(document, STREAM)
        scalar = json.dumps(stream) if isinstance(stream, bool | int) else stream if isinstance(stream, str) else None
        assert fields.values.get(STREAM) == scalar


PIECES = st.sampled_from(
    [*'{}[]:,"\\ \n\t0-.eE', "null", "true", '"model"', '"a"', "\\u006d", "\\ud800", "1", "é", "\x00", "\ufeff"]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=25).map(lambda pieces: "".join(pieces).encode()) | st.binary(max_size=30))
def test_whatever_comes_in_is_read_or_refused_as_the_standard_library_does(raw: bytes) -> None:
    def refuse(name: str) -> None:
        raise ValueError(name)

    try:
        document = json.loads(raw.decode(), object_pairs_hook=Object, parse_constant=refuse)
    except ValueError:
        document = refuse
    try:
        READER.read(raw)
        code = None
    except BodyError as error:
        code = error.reject.code
    if document is refuse:
        # A body may be broken in two ways at once; the other one may be found first.
        assert code in {"invalid_json", "duplicate_field"}
    elif not isinstance(document, Object):
        assert code == "invalid_request_body"
    else:
        assert code != "invalid_request_body"
