"""``routegen router`` takes what ``python -m routegen_router`` takes: two command lines, as the image has no click."""

from __future__ import annotations

import click
import pytest

from routegen.cli import cli
from routegen.commands.router import command
from routegen_router.__main__ import parser

NEEDED = ["--config", "router.json", "--listen", "127.0.0.1:0"]


@pytest.mark.parametrize(
    "more",
    [
        [],
        ["--listen", "unix:/run/r", "--socket-mode", "660", "--workers", "2"],
        ["--listen", "unix:/run/r", "--metrics", "", "--ready-file", "ready", "--drain-seconds", "1.5"],
        *(["--log-level", level] for level in ("debug", "info", "warning", "error")),
        *(["--log-format", style] for style in ("json", "text")),
    ],
)
def test_both_read_the_same_options_with_the_same_defaults(more: list[str]) -> None:
    # As a part of the whole command: click keeps a verb's help option as its first context has it.
    group = click.Context(cli, **cli.context_settings)
    ours = command.make_context("router", [*NEEDED, *more], parent=group).params
    theirs = vars(parser().parse_args([*NEEDED, *more]))
    assert ours == theirs | {"listen": tuple(theirs["listen"])}
