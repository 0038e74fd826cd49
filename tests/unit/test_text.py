"""Plain data as text: deterministic, and read alike by every YAML reader."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from routegen.common import text as text_module
from routegen.common.text import to_json, to_yaml

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(st.dictionaries(st.text(max_size=12), PLAIN, max_size=4), min_size=1, max_size=3))
def test_what_is_written_reads_back_the_same(documents: list[dict[str, Any]]) -> None:
    assert list(yaml.safe_load_all(to_yaml(documents))) == documents


@pytest.mark.parametrize(
    "text",
    [
        *("yes", "No", "on", "OFF", "y", "N", "true", "null", "~", ""),
        *("010", "0o10", "0x1F", "0b1", "1_000", "1e3", "1E-3", ".5", "5.", "+1", "-.inf", ".nan"),
        *("22:30", "1:2:3.5", "2026-11-23", "2026-11-23T07:00:00Z", "=", "<<", "- a", "a: b", "a #b", "*a", "&a", "!a"),
    ],
)
def test_text_that_some_reader_takes_for_something_else_is_quoted(text: str) -> None:
    assert to_yaml([{"key": text}]) == f"key: '{text}'\n"


@pytest.mark.parametrize("text", ["0s", "32Mi", "v1.40.0", "a%b", "/v1/models", "::1", "größe", "1.2.3"])
def test_other_text_is_plain(text: str) -> None:
    assert to_yaml([{"key": text}]) == f"key: {text}\n"


def test_lines_stand_as_a_block_and_nothing_is_folded_or_shared() -> None:
    shared = {"long": "word " * 100 + "end"}
    text = to_yaml([{"lines": "a\nb\n", "one": shared, "two": shared}])
    assert text.startswith("lines: |\n  a\n  b\n")
    assert text.count(f"  long: {shared['long']}\n") == 2


def test_keys_keep_their_order_and_documents_are_parted() -> None:
    assert to_yaml([{"b": 1, "a": (1, 2)}, {"c": {}}]) == "b: 1\na:\n- 1\n- 2\n---\nc: {}\n"


def test_json_keeps_order_and_letters() -> None:
    assert to_json({"b": "größe", "a": [1]}) == '{\n  "b": "größe",\n  "a": [\n    1\n  ]\n}\n'


LETTERS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=150) | st.text(
    st.sampled_from(" #:-ab'\"?!&*|>%@`{}[],.0123456789eE+_~\n\té\u2028"), max_size=12
)
TREE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | LETTERS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(LETTERS, inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(st.dictionaries(LETTERS, TREE, min_size=1, max_size=4), max_size=3))
def test_what_is_written_in_c_has_the_bytes_of_python(documents: list[dict[str, Any]]) -> None:
    slow = yaml.dump_all(documents, Dumper=text_module._Dumper, sort_keys=False, allow_unicode=True, width=sys.maxsize)
    assert to_yaml(documents) == slow


def test_most_documents_are_written_in_c() -> None:
    assert yaml.__with_libyaml__
    assert text_module._is_simple({"spec": {"rules": [{"name": "a: b", "port": 80, "none": None}]}})
    assert not any(map(text_module._is_simple, [{"": 1}, {"k" * 101: 1}, {"k": "a\nb"}, {"k": ["é"]}, {"k\n": 1}]))
