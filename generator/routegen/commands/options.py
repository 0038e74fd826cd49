"""Options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from routegen.common.words import choices
from routegen.targets import TARGETS, known

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def once(_: click.Context, param: click.Parameter, values: tuple[str, ...] | None) -> str | None:
    """The one value of an option; naming it twice is a mistake that would pass unseen, for the last would win.

    :raises click.UsageError: it is given twice.
    """
    if values and len(values) > 1:
        raise click.UsageError(f"{param.opts[0]} names {values[0]} and {values[1]}: one file at a time")
    return values[0] if values else None


routes_file: Final = click.option(
    *("-f", "--file", "source"),
    type=click.Path(),  # shells complete it
    multiple=True,
    callback=once,
    default=("routes.yaml",),
    metavar="FILE",
    help="The routes.yaml to read; default: routes.yaml; - is standard input.",
)
"""``-f FILE``, handed on as ``source``; :func:`routegen.pipeline.read_plan` takes it."""


def output(*forms: str) -> Callable[[Decorated], Decorated]:
    """``-o FORM``, handed on as ``form``; the first is the default. Every verb that prints in several forms has it."""
    return click.option(
        *("-o", "--output", "form"), type=click.Choice(forms), default=forms[0], show_default=True, help="The form."
    )


print_rbac: Final = click.option(
    "--print-rbac", is_flag=True, help="Print the rights that this needs, as objects to apply, and nothing else."
)
"""``--print-rbac``: every verb that reads a cluster has it."""

output_dir: Final = click.option(
    "--output-dir", type=click.Path(), metavar="DIR", help="Write one file a document into DIR, not to stdout."
)
"""``--output-dir DIR``: where whole folders of files go."""


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
