"""YAML with positions: what each scalar means, where everything stands, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest

from routegen.common.positions import read_documents, render_path


def _value(text: str) -> Any:
    (document,), problems = read_documents(text, "f.yaml")
    assert problems == []
    return document.value


def _problems(text: str, *, leading_zeros: bool = True) -> list[str]:
    return [str(problem) for problem in read_documents(text, "f.yaml", leading_zeros=leading_zeros)[1]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", True),
        ("False", False),
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("~", None),
        ("null", None),
        ("12", 12),
        ("-3", -3),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2001-01-01", "2001-01-01"),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-.inf", -math.inf),
        ("1.2.3", "1.2.3"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("=", "="),
        ("!!str 12", "12"),
        ('"\\ud83d\\ude00"', "😀"),
    ],
)
def test_scalars_mean_what_yaml_1_2_says(text: str, expected: object) -> None:
    value = _value(f"key: {text}")["key"]
    assert (type(value), value) == (type(expected), expected)


def test_not_a_number_is_a_number() -> None:
    assert math.isnan(_value("key: .nan")["key"])


def test_every_path_knows_its_line() -> None:
    text = "# comment\na:\n  b: 1\n  c:\n    - x\n    - {d: 2,\n       e: 3}\n"
    (document,), _ = read_documents(text, "f.yaml")
    assert document.first_line == 2
    assert {render_path(path): line for path, line in document.lines.items()} == {
        "$": 2,
        "$.a": 2,
        "$.a.b": 3,
        "$.a.c": 4,
        "$.a.c[0]": 5,
        "$.a.c[1]": 6,
        "$.a.c[1].d": 6,
        "$.a.c[1].e": 7,
    }


def test_a_path_that_is_missing_has_the_line_of_what_should_hold_it() -> None:
    (document,), _ = read_documents("a:\n  b:\n    c: 1\n", "f.yaml")
    assert document.line(("a", "b", "x", 7)) == 2
    assert str(document.problem(("a", "b", "x"), "is missing")) == "f.yaml:2 $.a.b.x: is missing"


def test_strange_keys_are_quoted_in_paths() -> None:
    assert render_path(("a-b", "x y", 0, "1", "v*")) == "$.a-b['x y'][0]['1']['v*']"


def test_every_document_of_a_stream_is_read_and_empty_ones_are_left_out() -> None:
    documents, problems = read_documents("---\na: 1\n---\n# nothing\n---\nb: 2\n", "f.yaml")
    assert [(document.value, document.first_line) for document in documents] == [({"a": 1}, 2), ({"b": 2}, 6)]
    assert problems == []


def test_what_stands_before_a_syntax_error_is_still_read() -> None:
    documents, problems = read_documents("a: 1\n---\nb: [1\n", "f.yaml")
    assert [document.value for document in documents] == [{"a": 1}]
    assert [problem.line for problem in problems] == [3]


def test_an_alias_stands_for_a_copy_with_lines_of_its_own() -> None:
    (document,), problems = read_documents("a: &x {b: 1}\nc: *x\n", "f.yaml")
    assert document.value == {"a": {"b": 1}, "c": {"b": 1}}
    assert document.line(("c",)) == 2
    assert problems == []


def test_a_first_value_wins_over_a_second_of_the_same_key_and_both_lines_are_told() -> None:
    documents, problems = read_documents("a: 1\nb: 2\na: 3\n", "f.yaml")
    assert documents[0].value == {"a": 1, "b": 2}
    assert [str(problem) for problem in problems] == ['f.yaml:3 $.a: the key "a" stands here and on line 1; keep one']


def test_leading_zeros_are_refused_only_where_asked() -> None:
    assert _problems("a: 010\n") == []
    assert _problems("a: 010\nb: -007\nc: 0\nd: 0.5\ne: '010'\n", leading_zeros=False) == [
        'f.yaml:1 $.a: 010 could mean two numbers; write it without leading zeros, or "010" for text',
        'f.yaml:2 $.b: -007 could mean two numbers; write it without leading zeros, or "-007" for text',
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: {b: 1", "f.yaml:1: the bracket, brace or quote that opens here is never closed"),
        ("a:\n  'x", "f.yaml:2: the bracket, brace or quote that opens here is never closed"),
        ("a: !!int x", 'f.yaml:1 $.a: "x" is not a YAML int'),
        ("a: !!bool yes", 'f.yaml:1 $.a: "yes" is not a YAML bool'),
        ("a: !Ref x", 'f.yaml:1 $.a: the tag "!Ref" is not supported; write plain YAML'),
        ("a: !Map {}", 'f.yaml:1 $.a: the tag "!Map" is not supported; write plain YAML'),
        ("? {a: 1}\n: 2", "f.yaml:1 $: a key must be plain text"),
        ('a: "\\ud800"', "f.yaml:1 $.a: holds half of a surrogate pair, which is not text"),
        ("[" * 3000, "f.yaml: is nested too deeply"),
    ],
)
def test_what_is_not_plain_yaml_is_refused_with_its_line(text: str, expected: str) -> None:
    assert _problems(text) == [expected]


def test_a_file_that_multiplies_itself_through_aliases_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 8)]
    (problem,) = _problems("\n".join(lines))
    assert "is too large, or repeats itself through aliases" in problem
