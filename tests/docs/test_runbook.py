"""docs/runbook.md has a section for every alert and every error code: meaning, check, fix; and for nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
SECTIONS = dict(re.findall(r"^### (\S+)\n(.*?)(?=^##|\Z)", RUNBOOK, re.MULTILINE | re.DOTALL))


def test_there_is_a_section_for_each_alert_and_each_code_and_no_other() -> None:
    rules = yaml.safe_load((ROOT / "manifests" / "monitoring" / "alerts.yaml").read_text())
    alerts = [rule["alert"] for group in rules["groups"] for rule in group["rules"]]
    codes = re.findall(r"^\| `([a-z_]+)` \|", (ROOT / "docs" / "errors.md").read_text(), re.MULTILINE)
    assert len(alerts) > 10
    assert len(codes) > 20
    assert sorted(SECTIONS) == sorted({*alerts, *(f"`{code}`" for code in codes)})
    assert len(re.findall(r"^### ", RUNBOOK, re.MULTILINE)) == len(SECTIONS), "one of them comes twice"


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_says_what_it_means_where_to_look_and_what_helps(name: str) -> None:
    assert re.findall(r"^- \*\*(\w+)\.\*\* \S", SECTIONS[name], re.MULTILINE) == ["Meaning", "Check", "Fix"]


def test_its_links_into_pages_lead_to_headings() -> None:
    broken = []
    for page, heading in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", RUNBOOK):
        text = (ROOT / "docs" / page).read_text() if page else RUNBOOK
        titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
        broken += [f"{page}#{heading}"] if heading not in anchors else []
    assert broken == []
