"""``routegen init``: a commented routes.yaml to start from, and cases that it passes."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import click

from routegen.common.problems import UserError


@click.command("init")
@click.argument("file", default="routes.yaml", type=click.Path(path_type=Path))
def command(file: Path) -> None:
    """Write a commented FILE to start from (default: routes.yaml; - is standard output).

    Beside it goes a file of cases for `routegen test`. Its folder is made; a file that exists is left alone.

    \b
    Examples:
      routegen init
      routegen init team-a/routes.yaml && routegen validate -f team-a/routes.yaml
    """
    if str(file) == "-":
        click.echo(_starter("routes.yaml"), nl=False)
        return
    if file.parent.exists() and not file.parent.is_dir():
        raise UserError(f"{file} can't be written: {file.parent} is not a folder")
    cases = file.with_suffix(".cases.yaml")
    _write(file, _starter("routes.yaml"))
    if cases.exists():
        click.echo(f"{cases} exists already and was left as it is")
        written = str(file)
    else:
        _write(cases, _starter("routes.cases.yaml"))
        written = f"{file} and {cases}"
    option = "" if str(file) == "routes.yaml" else f" -f {file}"
    click.echo(f"wrote {written}; next: routegen validate{option} && routegen test{option}")


def _starter(name: str) -> str:
    return resources.files("routegen").joinpath("starter", name).read_text(encoding="utf-8")


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise UserError(f"{file} exists already and was left as it is; give another name") from None
    except OSError as error:
        raise UserError(f"{file} can't be written: {error.strerror}") from error
