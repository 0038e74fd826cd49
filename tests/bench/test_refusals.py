"""What may be said of an engine's error answer, and what may only be shown."""

from __future__ import annotations

import json

import pytest

from routegen.bench.refusals import complaint, in_short

SENT = json.dumps({"messages": [{"content": "the whole of my prompt, which is nobody's business"}]}).encode()


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({"error": {"message": "max_tokens is too large: 99"}}, "max_tokens is too large: 99"),
        ({"error": "no such model"}, "no such model"),
        ({"object": "error", "message": "too long"}, "too long"),
        ({"detail": "Unexpected keys: {'ignore_eos'}"}, "Unexpected keys: {'ignore_eos'}"),
        (
            {"detail": [{"loc": ["body", "ignore_eos"], "msg": "Extra inputs are not permitted", "input": True}]},
            "ignore_eos: Extra inputs are not permitted",
        ),
        ({"error": {"message": "two\nlines \x1b[31m"}}, "two lines  [31m"),
        ({"detail": None}, None),
        (["error"], None),
        ({"error": {"message": "bad: the whole of my prompt, which is nobody's business"}}, None),
        ({"error": {"message": "wrong key sesame"}}, None),
    ],
)
def test_an_engines_own_sentence_is_shown_unless_it_repeats_what_was_sent(
    document: object, sentence: str | None
) -> None:
    assert complaint(json.dumps(document).encode(), sent=SENT, secret="Bearer sesame") == sentence


def test_what_is_no_json_has_no_sentence() -> None:
    assert complaint(b"<html>", sent=SENT, secret=None) is None
    assert in_short(502, b"<html>") == "HTTP 502"


def test_only_a_code_is_recorded() -> None:
    assert in_short(400, b'{"error": {"message": "secret", "code": "context_length_exceeded"}}') == (
        "HTTP 400 context_length_exceeded"
    )
    assert in_short(400, b'{"error": {"code": "Your prompt was: secret"}}') == "HTTP 400"
