"""``routegen validate``: everything that is wrong with a routes.yaml, or what it says."""

from __future__ import annotations

from collections.abc import Sequence

import click

from routegen.commands.options import routes_file


@click.command("validate")
@routes_file
def command(source: str) -> None:
    """Check a routes.yaml and say everything that is wrong with it.

    Problems go to standard error, one line each with file, line and path; the exit code is then 1.
    What is allowed and may still surprise goes there too; the exit code stays 0.

    \b
    Examples:
      routegen validate
      routegen validate -f examples/canary/routes.yaml
      envsubst < routes.yaml | routegen validate -f -
    """
    from routegen.compile.advice import advice  # noqa: PLC0415 - not for `--help`
    from routegen.pipeline import read_plan  # noqa: PLC0415 - not for `--help`

    plan = read_plan(source)
    click.echo(f"ok: {plan.name} in namespace {plan.namespace}, for target {plan.gateway.target}")
    click.echo(f"  {_count('backend', [backend.name for backend in plan.backends])}")
    click.echo(f"  {_count('rule', [rule.name for rule in plan.rules])}")
    for sentence in advice(plan):
        click.echo(f"routegen: {sentence}", err=True)


def _count(noun: str, names: Sequence[str]) -> str:
    return f"{len(names)} {noun}{'' if len(names) == 1 else 's'}: {', '.join(names)}"
