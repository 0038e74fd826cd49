"""``routegen plugins``: which rules there are, and where each comes from."""

from __future__ import annotations

import sys

import click


@click.command("plugins")
def command() -> None:
    """List the rules that routes.yaml may use, and which distribution each comes from.

    Those of other distributions are found by the entry point routegen.rules. Each is loaded here, to see whether it
    can be; elsewhere only what a routes.yaml uses is. The exit code is 1 where one can't be used.

    \b
    Examples:
      routegen plugins
      routegen plugins | grep -v " routegen "
    """
    from routegen import __version__  # noqa: PLC0415 - not for `--help`
    from routegen_router.plugins import PluginError  # noqa: PLC0415 - not for `--help`
    from routegen_router.rules.table import FORMS, OURS, table  # noqa: PLC0415 - not for `--help`

    found = table()
    rows, problems = [(verb, f"{OURS} {__version__}", form.sentence) for verb, form in FORMS.items()], []
    for verb, plugins in found.plugins.items():
        for plugin in plugins:
            try:
                sentence = found.form(verb).sentence
            except PluginError as error:
                sentence = "can't be used"
                problems.append(str(error))
            rows.append((verb, f"{plugin.distribution} {plugin.version}", sentence))
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    click.echo("rules")
    for verb, distribution, sentence in rows:
        click.echo(f"  {verb.ljust(widths[0])}  {distribution.ljust(widths[1])}  {sentence}")
    for problem in dict.fromkeys(problems):
        click.echo(f"routegen: {problem}", err=True)
    sys.exit(1 if problems else 0)
