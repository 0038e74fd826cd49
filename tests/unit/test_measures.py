"""What is measured in a body: right whatever it holds, and refused where a measured key stands twice."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routegen_router.body import SHORT, BodyReader
from routegen_router.config import Reads
from routegen_router.measures import Measurer
from routegen_router.refusals import BodyError
from routegen_router.request import MODEL, FieldPath, Measure

A, B, DEEP = ("a",), ("b",), ("a", "x")
ALL: frozenset[Measure] = frozenset(
    (path, what) for path in (A, B, DEEP) for what in ("present", "items", "characters")
)
MEASURER = Measurer(ALL)
READER = BodyReader(Reads(frozenset(), frozenset({MODEL}), frozenset(), ALL))

values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-5, 5) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "a", "b", "é"]), inner, max_size=3)
    ),
    max_leaves=10,
)
bodies = st.dictionaries(st.sampled_from(["a", "b", "model2", "é"]), values, max_size=4)


@settings(max_examples=300)
@given(bodies, st.booleans())
def test_measures_are_what_a_plain_reading_says(body: dict[str, Any], ascii_only: bool) -> None:
    raw = json.dumps(body, ensure_ascii=ascii_only).encode()
    expected = {measure: size for measure in ALL if (size := _plain(body, *measure)) is not None}
    assert MEASURER.measure(raw) == expected
    assert READER.read(raw).sizes == expected


def _plain(value: Any, path: FieldPath, what: str) -> int | None:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    if value is None:
        return None
    if what == "present":
        return 1
    if what == "characters":
        return _characters(value)
    return len(value) if isinstance(value, list | dict) else None


def _characters(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return sum(map(_characters, parts))


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b'{"a": [1], "a": [1]}', "a"),
        (b'{"a": [1], "\\u0061": null}', "a"),
        (b'{"a": 1, "c": 2, "b": {}, "b": 3}', "b"),
        (b'{"a": {"x": 1, "x": "2"}}', "a.x"),
    ],
)
def test_a_measured_key_that_stands_twice_is_refused(raw: bytes, field: str) -> None:
    for read in (MEASURER.measure, READER.read):
        with pytest.raises(BodyError) as raised:
            read(raw)
        assert (raised.value.reject.code, raised.value.reject.param) == ("duplicate_field", field)


@pytest.mark.parametrize("raw", [b'{"c": 1, "c": 2, "a": {"y": 1, "y": 2}}', b'{"a": "s", "b": 3}'])
def test_what_is_not_measured_may_stand_twice(raw: bytes) -> None:
    assert READER.read(raw).sizes[A, "present"] == 1 if b'"b"' in raw else READER.read(raw).sizes


def test_half_a_surrogate_pair_counts_as_a_character() -> None:
    raw = b'{"model": "m", "b": "x\\ud800y", "a": {"x": ["\\udc00"]}}'
    sizes = READER.read(raw).sizes
    assert (sizes[B, "characters"], sizes[DEEP, "items"], sizes[DEEP, "characters"]) == (3, 1, 1)


def test_what_is_not_short_is_left_to_a_reader_process() -> None:
    body = json.dumps({"model": "m", "a": ["x" * SHORT]}).encode()
    assert READER.read_at_once(body) is None
    assert READER.read(body).sizes[A, "characters"] == SHORT
    plain = BodyReader(Reads(frozenset(), frozenset({MODEL}), frozenset()))
    assert plain.read_at_once(body) is not None


def test_what_is_nested_too_deeply_is_refused_wherever_the_limit_is_met() -> None:
    """The limit is met by the first pass, or in measuring, a few levels later.

    It is near 1,000 levels, and near 10,000 from Python 3.12 on.
    """
    depths = (*range(100, 2000, 3), *range(2000, 12_000, 100), 50_000)
    outcomes = [_outcome(b'{"model": "m", "a": ' + b"[" * depth + b"]" * depth + b"}") for depth in depths]
    assert set(outcomes) == {"1", "invalid_json"}
    assert outcomes == sorted(outcomes)


def _outcome(raw: bytes) -> str:
    try:
        return str(READER.read(raw).sizes[A, "items"])
    except BodyError as error:
        return error.reject.code
