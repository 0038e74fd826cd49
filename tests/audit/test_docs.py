"""docs/audit.md: its second half is generated from the rules."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from routegen.audit.explain import explain, rules_markdown
from routegen.audit.formats import FORMATS
from routegen.audit.reading import read_manifests
from routegen.audit.report import audit
from routegen.audit.rules import RULES

PAGE = Path(__file__).parents[2] / "docs" / "audit.md"
HEADING = "## Rules\n\n"


def test_the_page_shows_the_rules_as_they_are(update_golden: bool) -> None:
    written, heading, generated = PAGE.read_text(encoding="utf-8").partition(HEADING)
    assert heading, "docs/audit.md needs the heading that the generated part stands under"
    if update_golden:
        PAGE.write_text(written + heading + rules_markdown(), encoding="utf-8")
    elif generated != rules_markdown():
        pytest.fail("docs/audit.md is not what the rules say; run pytest tests/audit/test_docs.py --update-golden")


def test_the_page_names_every_format_and_exit_code() -> None:
    written = PAGE.read_text(encoding="utf-8").partition(HEADING)[0]
    assert all(f"`{name}`" in written for name in FORMATS)
    assert all(f"| {code} |" in written for code in (0, 1, 2))


def test_the_page_shows_output_as_it_is() -> None:
    root = PAGE.parents[1]
    case = "tests/audit/cases/FAIR052/fires.yaml"
    [shown] = re.findall(r"```\n(vLLM .*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    printed = FORMATS["text"](audit(read_manifests([str(root / case)])))
    assert shown == printed.replace(str(root / case), case)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_explaining_a_rule_gives_its_title_reason_and_way_of_deciding(rule: object) -> None:
    [found] = [one for one in RULES if one is rule]
    text = explain(found)
    assert text.startswith(f"{found.id} {found.title}\n{found.severity.word}")
    assert " ".join(found.why.split()) in " ".join(text.split())
    assert " ".join(found.docs.split()) in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 100
