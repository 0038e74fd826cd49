"""Every verb's help has an example and is laid out as it was written."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from routegen.cli import VERBS, cli


@pytest.mark.parametrize("verb", VERBS)
def test_help_has_an_example_on_a_line_of_its_own(verb: str) -> None:
    done = CliRunner().invoke(cli, [verb, "--help"])
    assert done.exit_code == 0
    assert "\\b" not in done.output
    lines = [line.strip() for line in done.output.splitlines()]
    start = next(number for number, line in enumerate(lines) if line in {"Example:", "Examples:"})
    assert f"routegen {verb}" in lines[start + 1]


def test_the_list_of_verbs_is_laid_out_as_it_was_written() -> None:
    assert "\\b" not in CliRunner().invoke(cli, ["--help"]).output
