"""Options that several verbs share."""

from __future__ import annotations

from typing import Final

import click

from routegen.common.words import choices
from routegen.targets import TARGETS, known

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


class _TargetName(click.Choice[str]):
    """A built-in target, or another distribution's, which is looked for only where it is named."""

    def __init__(self) -> None:
        super().__init__(list(TARGETS))

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value not in TARGETS and value not in (here := known()):
            self.fail(f'there is no target "{value}"; {choices(value, here)}', param, ctx)
        return value


target: Final = click.option("--target", type=_TargetName(), help="The gateway; default: spec.gateway.target.")
"""``--target NAME``: compile for this target in place of the file's own."""
