"""Help is laid out as it was written: click's mark ``\\b`` has to be the character itself."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from routegen.cli import VERBS, cli


@pytest.mark.parametrize("arguments", [[], *([verb] for verb in VERBS)], ids=str)
def test_help_keeps_the_lines_of_its_examples(arguments: list[str]) -> None:
    done = CliRunner().invoke(cli, [*arguments, "--help"])
    assert done.exit_code == 0
    assert "\\b" not in done.output
