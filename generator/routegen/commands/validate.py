"""``routegen validate``: everything that is wrong with a routes.yaml, or what it says."""

from __future__ import annotations

from collections.abc import Sequence

import click

from routegen.commands import options
from routegen.common.problems import Problem


@click.command("validate")
@options.routes_file
@options.target
def command(source: str, target: str | None) -> None:
    """Check a routes.yaml and say everything that is wrong with it.

    Problems go to standard error, one line each with file, line and path; the exit code is then 1. Notes
    go there too, about what is allowed and may still surprise, or what the target doesn't use; the exit code stays 0.

    \b
    Examples:
      routegen validate
      routegen validate -f examples/canary/routes.yaml --target envoy
      envsubst < routes.yaml | routegen validate -f -
    """
    from routegen.pipeline import read_plan  # noqa: PLC0415 - not for `--help`

    notes: list[Problem] = []
    plan = read_plan(source, target, notes)
    click.echo(f"ok: {plan.name} in namespace {plan.namespace}, for target {plan.gateway.target}")
    click.echo(f"  {_count('backend', [backend.name for backend in plan.backends])}")
    click.echo(f"  {_count('rule', [rule.name for rule in plan.rules])}")
    for note in notes:
        click.echo(note, err=True)


def _count(noun: str, names: Sequence[str]) -> str:
    return f"{len(names)} {noun}{'' if len(names) == 1 else 's'}: {', '.join(names)}"
