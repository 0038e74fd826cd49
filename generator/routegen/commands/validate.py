"""``routegen validate``: everything that is wrong with a routes.yaml, or what it says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from routegen.commands import options
from routegen.common.problems import Problem, Remark

if TYPE_CHECKING:
    from routegen.plan import Plan


@click.command("validate")
@options.routes_file
@options.target
@click.option(
    *("--with", "others"),
    type=click.Path(),
    multiple=True,
    metavar="FILE",
    help="Another routes.yaml of the same cluster: say what the two would take from each other; may be repeated.",
)
def command(source: str, target: str | None, others: tuple[str, ...]) -> None:
    """Check a routes.yaml and say everything that is wrong with it.

    Problems go to standard error, one line each with file, line and path; the exit code is then 1. Notes
    go there too, about what is allowed and may still surprise, or what the target doesn't use; the exit code stays 0.

    \b
    Examples:
      routegen validate
      routegen validate -f examples/canary/routes.yaml --target envoy
      envsubst < routes.yaml | routegen validate -f -
      routegen validate -f chat.yaml --with embeddings.yaml
    """
    from routegen.compile import compile_text  # noqa: PLC0415 - not for `--help`
    from routegen.pipeline import read_plan, read_text  # noqa: PLC0415

    notes: list[Problem] = []
    text, name = read_text(source)
    plan = compile_text(text, name, target=target, notices=notes)
    beside = [(file, read_plan(file)) for file in others]
    # Only now: what has mistakes can't be rendered, and so not be compared.
    if beside:
        compile_text(text, name, target=target, examine=lambda one: _clashes(one, beside))
    click.echo(f"ok: {plan.name} in namespace {plan.namespace}, for target {plan.gateway.target}")
    click.echo(f"  {_count('backend', [backend.name for backend in plan.backends])}")
    click.echo(f"  {_count('rule', [rule.name for rule in plan.rules])}")
    for note in notes:
        click.echo(note, err=True)


def _clashes(plan: Plan, beside: Sequence[tuple[str, Plan]]) -> Iterator[Remark]:
    from routegen.checks.beside import clashes  # noqa: PLC0415 - not for `--help`

    for file, other in beside:
        yield from clashes(plan, other, file)


def _count(noun: str, names: Sequence[str]) -> str:
    return f"{len(names)} {noun}{'' if len(names) == 1 else 's'}: {', '.join(names)}"
