"""``routegen lint``: what a routes.yaml says that is almost surely not meant."""

from __future__ import annotations

import click

from routegen.commands import options
from routegen.common.problems import InputError, UserError, sentences

_FORMATS = ("text", "json", "sarif", "junit", "github")
_SEVERITIES = ("info", "warning", "error", "never")


@click.command("lint")
@options.routes_file
@options.output(*_FORMATS)
@click.option(
    "--fail-on",
    type=click.Choice(_SEVERITIES),
    default="warning",
    show_default=True,
    help="Exit with 1 where a finding is at least this grave.",
)
@click.pass_context
def command(ctx: click.Context, source: str, form: str, fail_on: str) -> None:
    """Say what in a routes.yaml is legal and almost surely not meant.

    A finding that is meant is accepted by a comment with a reason, on its line or the one above:
    # lint: ignore LINT015: the canary comes on Monday

    \b
    Exit codes: 0 clean, 1 findings at or above --fail-on, 2 the input can't be used.

    \b
    Examples:
      routegen lint
      routegen lint -f examples/canary/routes.yaml -o github
    """
    from routegen.checks.lint import lint  # noqa: PLC0415
    from routegen.checks.lint_told import FORMATS  # noqa: PLC0415
    from routegen.common.severity import Severity  # noqa: PLC0415 - not for `--help`
    from routegen.compile import compile_text  # noqa: PLC0415
    from routegen.pipeline import read_text  # noqa: PLC0415

    try:
        text, name = read_text(source)
        findings = lint(text, name, compile_text(text, name, deployed=False))
    except (InputError, UserError) as error:
        click.echo(sentences(error), err=True)
        ctx.exit(2)  # unlike for other verbs: 1 means findings
    click.echo(FORMATS[form](findings), nl=False)
    left = [finding for finding in findings if finding.reason is None]
    if fail_on != "never" and any(one.rule.severity >= Severity[fail_on.upper()] for one in left):
        ctx.exit(1)
