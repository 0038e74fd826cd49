"""``routegen router`` takes what ``python -m routegen_router`` takes: two command lines, as the image has no click."""

from __future__ import annotations

import pytest

from routegen.commands.router import command
from routegen_router.__main__ import parser

NEEDED = ["--config", "router.json", "--listen", "127.0.0.1:0"]


@pytest.mark.parametrize(
    "more",
    [
        [],
        ["--listen", "unix:/run/r", "--metrics", "", "--ready-file", "ready", "--drain-seconds", "1.5"],
        *(["--log-level", level] for level in ("debug", "info", "warning", "error")),
        *(["--log-format", style] for style in ("json", "text")),
    ],
)
def test_both_read_the_same_options_with_the_same_defaults(more: list[str]) -> None:
    ours = command.make_context("router", [*NEEDED, *more]).params
    theirs = vars(parser().parse_args([*NEEDED, *more]))
    assert ours == theirs | {"listen": tuple(theirs["listen"])}
