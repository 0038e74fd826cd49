"""``routegen test``: whether requests go where a file of cases says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from routegen.commands import options
from routegen.common.problems import InputError, UserError, sentences

if TYPE_CHECKING:
    from routegen.checks.run import Result

_FORMATS = ("text", "json", "junit", "github")


@click.command("test")
@options.routes_file
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[CASES]...")
@options.output(*_FORMATS)
@click.pass_context
def command(ctx: click.Context, source: str, files: tuple[Path, ...], form: str) -> None:
    """Check that requests go where files of CASES say.

    Default: routes.cases.yaml beside routes.yaml, and so for any other name. Each request goes through the router's own
    code; nothing is asked or started. A case that fails shows how the decision came about.

    \b
    Exit codes: 0 all passed, 1 a case failed, 2 the input can't be used.

    \b
    Examples:
      routegen test
      routegen test -f examples/canary/routes.yaml
      routegen test -f routes.yaml -o junit cases/*.yaml > junit.xml
    """
    from routegen.checks.cases import read_cases  # noqa: PLC0415 - pydantic: not for `--help`
    from routegen.checks.run import run  # noqa: PLC0415
    from routegen.checks.told import FORMATS  # noqa: PLC0415
    from routegen.pipeline import read_plan  # noqa: PLC0415

    if source == "-" and not files:
        raise click.UsageError("routes.yaml from standard input has no file of cases beside it; name one")
    try:
        plan = read_plan(source, deployed=False)
        results: list[Result] = []
        for file in files or (Path(source).with_suffix(".cases.yaml"),):
            results += run(plan, *read_cases(file))
    except (InputError, UserError) as error:
        click.echo(sentences(error), err=True)
        ctx.exit(2)  # unlike for other verbs: 1 means that a case failed
    click.echo(FORMATS[form](results), nl=False)
    ctx.exit(0 if all(result.passed for result in results) else 1)
