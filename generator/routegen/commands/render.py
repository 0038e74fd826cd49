"""``routegen render``: the gateway's documents, on standard output or in a folder."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Final

import click

from routegen.commands import complete, options
from routegen.common.problems import Problem, UserError

NAMED: Final = 5
"""Other files of the folder that are called by their names."""


@click.command("render")
@options.routes_file
@options.target
@options.output("yaml", "json")
@options.output_dir
@click.option(
    "--only",
    metavar="KIND[,KIND]",
    shell_complete=complete.kinds,
    help="Just these kinds of document, such as HTTPRoute.",
)
@click.option(
    "--envoy-check/--no-envoy-check", "check", default=True, help="Let a local Envoy check target envoy's output."
)
def command(
    source: str, target: str | None, form: str, output_dir: str | None, only: str | None, *, check: bool
) -> None:
    """Print the gateway's documents for kubectl or Envoy.

    The same routes.yaml always gives the same bytes. On any error nothing is printed but the error. With --output-dir
    nothing is removed from DIR.

    \b
    Examples:
      routegen render | kubectl apply -f -
      routegen render --only HTTPRoute,EnvoyExtensionPolicy
      routegen render --target envoy > envoy.yaml
      routegen render --target envoy --only router-config > router.json
      routegen render --target envoy --output-dir /etc/routegen
    """
    from routegen import pipeline, targets  # noqa: PLC0415 - YAML: not for `--help`

    # Everything that is made is kept until the end, so looking for what isn't is a fifth of the time and finds nothing.
    gc.disable()
    click.get_current_context().call_on_close(gc.enable)
    if output_dir == "":
        raise click.UsageError("--output-dir takes a folder, not an empty text")
    if output_dir is not None and form != "yaml":
        raise click.UsageError("-o says the form of standard output; the files of --output-dir have their own")
    kinds = [kind.strip() for kind in (only or "").split(",") if kind.strip()]
    if only is not None and not kinds:
        raise click.UsageError("--only takes kinds of document, not an empty text")
    remarks: list[Problem] = []
    plan = pipeline.read_plan(source, target, remarks)
    try:
        output = pipeline.render(plan, kinds)
    except pipeline.UnknownKindError as error:
        raise click.UsageError(str(error)) from error
    notices = [*targets.find(plan.gateway.target).check(output)] if check else []
    if output_dir is not None:
        notices += _write(
            Path(output_dir), {document.filename: pipeline.file_text(document) for document in output.documents}
        )
    else:
        shown = [document for document in output.documents if kinds or not document.companion]
        click.echo(pipeline.to_text(shown, form), nl=False)
    for remark in remarks:
        click.echo(remark, err=True)
    for notice in notices:
        click.echo(f"routegen: {notice}", err=True)


def _write(folder: Path, texts: dict[str, str]) -> list[str]:
    """Write the files, and give a notice about those that are there from elsewhere or from another time."""
    from routegen.common.files import write_atomically  # noqa: PLC0415 - not for stdout

    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is not a folder; --output-dir takes one")
    for filename, text in texts.items():
        write_atomically(folder / filename, text)
    others = sorted({path.name for path in folder.iterdir() if path.suffix in {".yaml", ".json"}} - texts.keys())
    shown = ", ".join([*others[:NAMED], *(["…"] if len(others) > NAMED else [])])
    notices = [f"{folder} holds {len(others)} more, left alone: {shown}"] if others else []
    return [f"wrote {len(texts)} files to {folder}", *notices]
