"""``routegen diff``: which requests a change of routes.yaml leads elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

from routegen.commands import options
from routegen.common.problems import InputError, UserError, sentences


@click.command("diff")
@click.argument("old", type=click.Path())
@click.argument("new", type=click.Path())
@click.option(
    "--requests",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="JSON lines of method, path, headers, and body or fields; default: made up from both files.",
)
@options.output("text", "json")
@click.pass_context
def command(ctx: click.Context, old: str, new: str, file: Path | None, form: str) -> None:
    """Show which requests a change from OLD to NEW leads elsewhere.

    Compares what the two files do, not their lines: settings, backends and rules that differ are listed; each request
    is decided by both, and those that change are counted with an example, of which only what the gateway and rules read
    is shown. Engines aren't asked: those that the router would ask are
    taken to serve every model that a request names, unless the file lists theirs.

    \b
    Exit codes: 0 nothing differs, 1 something does, 2 the input can't be used.

    \b
    Examples:
      git show main:routes.yaml | routegen diff - routes.yaml
      routegen diff routes.yaml new.yaml --requests yesterday.jsonl
    """
    if old == new == "-":
        raise click.UsageError("only one of OLD and NEW can be - (standard input)", ctx)
    from routegen.checks import diff_told  # noqa: PLC0415 - not for `--help`
    from routegen.checks.diff import diff  # noqa: PLC0415
    from routegen.checks.requests import made_up, read_requests  # noqa: PLC0415
    from routegen.pipeline import read_plan  # noqa: PLC0415

    try:
        before, after = (read_plan(source, deployed=False) for source in (old, new))
        plans = (before, after)
        samples = made_up(plans) if file is None else read_requests(file, after.paths[0])
        found = diff(before, after, samples)
    except (InputError, UserError) as error:
        click.echo(sentences(error), err=True)
        ctx.exit(2)  # unlike for other verbs: 1 means that something differs
    origin = "made up from both files" if file is None else f"from {file}"
    tell = diff_told.as_json if form == "json" else diff_told.text
    click.echo(tell(found, plans, origin), nl=False)
    ctx.exit(0 if found.empty else 1)
