"""docs/routes-yaml.md is complete and true: its tables are the types that read the file, its examples compile."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest
import yaml

from routegen.compile import compile_text
from routegen_router.rules.table import FORMS
from support.reference import reference

PAGE: Final = Path(__file__).parents[2] / "docs" / "routes-yaml.md"
SPLIT: Final = re.compile(r"(?<=--update-golden` rewrites it. -->\n\n)")
EXAMPLES: Final = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
ENGINES: Final = """\
  backends:
    a: {endpoints: [10.0.0.1:8000], ownedBy: vllm}
    b: {endpoints: [10.0.0.2:8000], ownedBy: sglang}
"""


def test_the_tables_are_current(update_golden: bool) -> None:
    hand_written, *_ = SPLIT.split(PAGE.read_text())
    expected = hand_written + reference()
    if update_golden:
        PAGE.write_text(expected)
    assert PAGE.read_text() == expected, "run pytest tests/unit/test_spec_reference.py --update-golden"


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_the_page_compiles(example: str) -> None:
    """Each is a part of ``spec``; the backends are two engines where it has none."""
    spec = "".join(f"  {line}\n" for line in example.splitlines())
    engines = "" if "backends" in yaml.safe_load(example) else ENGINES
    head = "apiVersion: routegen/v1alpha1\nkind: InferenceRoutes\nmetadata: {name: demo}\nspec:\n"
    assert compile_text(head + engines + spec, "docs/routes-yaml.md").rules


@pytest.mark.parametrize("verb", FORMS)
def test_every_verb_has_an_example(verb: str) -> None:
    assert any(re.search(rf"^ +(- )?{verb}:", example, re.MULTILINE) for example in EXAMPLES)


def test_every_link_within_the_page_leads_to_a_heading() -> None:
    page = PAGE.read_text()
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    anchors = {"".join(c for c in text.lower() if c.isalnum() or c in "-_ ").replace(" ", "-") for text in headings}
    assert set(re.findall(r"\]\(#([^)]*)\)", page)) <= anchors
