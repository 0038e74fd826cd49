"""Help is laid out as it was written, and answers at once."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from routegen.cli import VERBS, cli

ALL_HELP = """
import sys
from click.testing import CliRunner
from routegen.cli import VERBS, cli

heavy = {"aiohttp", "envoy_data_plane", "grpc", "jinja2", "kubernetes", "openai", "pydantic", "rich", "yaml"}
for arguments in ([], *([verb] for verb in VERBS)):
    assert CliRunner().invoke(cli, [*arguments, "--help"]).exit_code == 0
    print(*arguments, *sorted(heavy & sys.modules.keys()))
"""


@pytest.mark.parametrize("arguments", [[], *([verb] for verb in VERBS)], ids=str)
def test_help_keeps_the_lines_of_its_examples(arguments: list[str]) -> None:
    done = CliRunner().invoke(cli, [*arguments, "--help"])
    assert done.exit_code == 0
    assert "\\b" not in done.output, "click's mark has to be the character itself"


def test_no_verbs_help_loads_a_library_that_takes_its_time() -> None:
    done = subprocess.run([sys.executable, "-c", ALL_HELP], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["", *VERBS]
