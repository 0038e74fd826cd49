"""Every kind of mistake in routes.yaml gets its own sentence, with the right line.

The tables are tests/unit/mistakes/*.txt: a title after ``===``, the file, and after each ``=>`` one problem, exactly
as a user reads it. ``<verbs>`` stands for all verbs; ``<head>``, ``<two>`` and ``<rules>`` for the beginnings below, of
4, 7 and 8 lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from routegen.common.problems import InputError
from routegen.compile import compile_text
from routegen_router.rules.table import FORMS

_HEAD: Final = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: demo}
spec:
"""
_TWO: Final = (
    _HEAD
    + """\
  backends:
    vllm: {endpoints: [10.0.0.1:8000], ownedBy: vllm}
    sglang: {endpoints: [10.0.0.2:8000], ownedBy: sglang}
"""
)
_BEGINNINGS: Final = {"<head>\n": _HEAD, "<two>\n": _TWO, "<rules>\n": _TWO + "  rules:\n"}
_INVISIBLE: Final = {
    "an empty file": ("", ["routes.yaml: is empty; `routegen init` writes one to start from"]),
    "a tab": (
        _HEAD + "\tbackends: {}\n",
        ["routes.yaml:5: a tab can't be used for indentation in YAML; use spaces"],
    ),
    "a control character": (
        _HEAD + "  \x07\n",
        ["routes.yaml:5: the character U+0007 is not allowed in YAML"],
    ),
}
"""Cases that a text file would not show."""


def _cases() -> Iterator[tuple[str, str, list[str]]]:
    for table in sorted((Path(__file__).parent / "mistakes").glob("*.txt")):
        for block in re.split(r"^=== ", table.read_text(), flags=re.MULTILINE)[1:]:
            title, rest = block.replace("<verbs>", ", ".join(FORMS)).split("\n", 1)
            text, *problems = rest.rstrip().split("\n=> ")
            text += "\n"
            for beginning, lines in _BEGINNINGS.items():
                text = text.replace(beginning, lines) if text.startswith(beginning) else text
            yield title, text, problems
    for title, (text, problems) in _INVISIBLE.items():
        yield title, text, problems


CASES: Final = list(_cases())


@pytest.mark.parametrize(("text", "expected"), [pytest.param(*case[1:], id=case[0]) for case in CASES])
def test_a_mistake_is_told_with_its_line_and_what_would_be_right(text: str, expected: list[str]) -> None:
    with pytest.raises(InputError) as raised:
        compile_text(text, "routes.yaml")
    assert [str(problem) for problem in raised.value.problems] == expected


def test_no_two_cases_have_the_same_title_or_the_same_text() -> None:
    assert len({title for title, _, _ in CASES}) == len({text for _, text, _ in CASES}) == len(CASES)
