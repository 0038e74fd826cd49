"""``routegen init``: a commented routes.yaml to start from."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import click

from routegen.common.problems import UserError


@click.command("init")
@click.argument("file", default="routes.yaml", type=click.Path(path_type=Path))
def command(file: Path) -> None:
    """Write a commented FILE to start from (default: routes.yaml; - is standard output).

    Its folder is made; a file that exists is left alone.

    \b
    Examples:
      routegen init
      routegen init team-a/routes.yaml && routegen validate -f team-a/routes.yaml
    """
    text = resources.files("routegen").joinpath("starter", "routes.yaml").read_text(encoding="utf-8")
    if str(file) == "-":
        click.echo(text, nl=False)
        return
    if file.parent.exists() and not file.parent.is_dir():
        raise UserError(f"{file} can't be written: {file.parent} is not a folder")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise UserError(f"{file} exists already and was left as it is; give another name") from None
    except OSError as error:
        raise UserError(f"{file} can't be written: {error.strerror}") from error
    option = "" if str(file) == "routes.yaml" else f" -f {file}"
    click.echo(f"wrote {file}; next: routegen validate{option}")
