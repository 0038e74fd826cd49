"""``routegen plugins``: which rules and targets there are, and where each comes from."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping

import click

from routegen_router.plugins import Plugin, PluginError


@click.command("plugins")
def command() -> None:
    """List the rules and targets that routes.yaml may use, and which distribution each comes from.

    Those of other distributions are found by the entry points routegen.rules and routegen.targets. Each is loaded
    here, to see whether it can be; elsewhere only what a routes.yaml uses is. The exit code is 1 where one
    can't be used.

    \b
    Examples:
      routegen plugins
      routegen plugins | grep -v " routegen "
    """
    from routegen import targets  # noqa: PLC0415 - not for `--help`
    from routegen_router.rules.table import FORMS, table  # noqa: PLC0415 - not for `--help`

    found = table()
    problems: list[str] = []
    _list("rules", FORMS, found.plugins, lambda verb: found.form(verb).sentence, problems)
    _list("targets", targets.TARGETS, targets.from_outside(), lambda name: targets.find(name).sentence, problems)
    for problem in dict.fromkeys(problems):
        click.echo(f"routegen: {problem}", err=True)
    sys.exit(1 if problems else 0)


def _plain(sentence: str) -> str:
    """A docstring's sentence without its markup, as a terminal shows it."""
    return re.sub(r":[\w:]+:(?=`)|`", "", sentence)


def _list(
    kind: str,
    built_in: Iterable[str],
    plugins: Mapping[str, tuple[Plugin, ...]],
    sentence: Callable[[str], str],
    problems: list[str],
) -> None:
    """Print one kind's table; what can't be used goes to ``problems``."""
    from routegen import __version__  # noqa: PLC0415 - not for `--help`

    brought = [(name, f"routegen {__version__}") for name in built_in]
    brought += [(name, f"{plugin.distribution} {plugin.version}") for name in plugins for plugin in plugins[name]]
    rows = []
    for name, distribution in brought:
        try:
            rows.append((name, distribution, _plain(sentence(name))))
        except PluginError as error:
            rows.append((name, distribution, "can't be used"))
            problems.append(str(error))
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    click.echo(kind)
    for name, distribution, said in rows:
        click.echo(f"  {name.ljust(widths[0])}  {distribution.ljust(widths[1])}  {said}")
