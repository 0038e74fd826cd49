"""Options that several verbs share."""

from __future__ import annotations

from typing import Final

import click

from routegen.targets import TARGETS

routes_file: Final = click.option(
    "-f",
    "--file",
    "source",
    type=click.Path(),  # shells complete it
    default="routes.yaml",
    show_default=True,
    metavar="FILE",
    help="The routes.yaml to read; - is standard input.",
)
"""``-f FILE``, handed on as ``source``; :func:`routegen.pipeline.read_plan` takes it."""

target: Final = click.option(
    "--target", type=click.Choice(list(TARGETS)), help="The gateway; default: spec.gateway.target."
)
"""``--target NAME``: compile for this target in place of the file's own."""
