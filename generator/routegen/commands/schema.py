"""``routegen schema``: the JSON Schema of routes.yaml."""

from __future__ import annotations

import json

import click


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of routes.yaml (draft 2020-12), for editors.

    A schema can't say everything that `routegen validate` checks: names that rules use, for example.

    \b
    Examples:
      routegen schema > routes.schema.json
      # then, as the first line of routes.yaml, for editors with the YAML language server:
      # yaml-language-server: $schema=routes.schema.json
    """
    from routegen.spec.schema import json_schema  # noqa: PLC0415 - pydantic: not for `--help`

    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
