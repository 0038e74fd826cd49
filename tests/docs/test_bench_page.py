"""docs/bench.md: every option of the command, and every picture and file that the page leads to."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from routegen.commands.bench import command, report

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "bench.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("verb", [command, report], ids=["bench", "report"])
def test_every_option_is_on_the_page(verb: click.Command) -> None:
    options = [param.opts for param in verb.params if isinstance(param, click.Option)]
    assert options
    assert [names for names in options if not any(re.search(rf"(?<!\w){name}\b", PAGE) for name in names)] == []


def test_everything_that_the_page_leads_to_is_there() -> None:
    targets = [*re.findall(r"\]\(([^)#]+)[^)]*\)", PAGE), *re.findall(r'src="([^"]+)"', PAGE)]
    files = [target for target in targets if not target.startswith("http")]
    assert "images/bench-report.png" in files
    assert [file for file in files if not (DOCS / file).exists()] == []
    titles = re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    headings = {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= headings
