"""docs/explain.md shows what its command prints."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from routegen.cli import cli

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explain.md"
FIRST = re.compile(r"```console\nroutegen (explain [^\n]*)\n```\n\n```text\n(.*?)```", re.DOTALL)


def test_the_first_example_prints_what_the_page_shows(monkeypatch: pytest.MonkeyPatch, update_golden: bool) -> None:
    monkeypatch.chdir(ROOT)
    page = PAGE.read_text()
    found = FIRST.search(page)
    assert found is not None
    printed = CliRunner().invoke(cli, shlex.split(found[1]), catch_exceptions=False).stdout
    if update_golden:
        PAGE.write_text(page[: found.start(2)] + printed + page[found.end(2) :])
    else:
        assert printed == found[2], "run pytest tests/docs --update-golden"
