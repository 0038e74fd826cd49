"""``routegen bench --render-job``: the same command line again, as a Job inside the cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click
from click.core import ParameterSource

from routegen.distribution import ROUTEGEN_IMAGE

OPTIONS: Final = ("image", "namespace", "claim", "api_key_secret")
"""What only says how the Job runs."""

_NOT_IN_A_JOB: Final = {
    "out": "the Job has a run folder of its own; keep it with --claim",
    "resume": "a Job measures a new run",
    "manifests": "give them to `routegen bench report` afterwards",
    "prompts": "the file is not in the cluster",
    "context": "inside the cluster there is only one",
}


def render(ctx: click.Context, options: Mapping[str, Any]) -> str:
    """The documents of a Job that does what this command line says.

    :raises click.UsageError: it says something that a Job can't do.
    """
    from routegen.bench import job, setup  # noqa: PLC0415 - not for `--help`
    from routegen.pipeline import STDIN, read_plan  # noqa: PLC0415

    for name, instead in _NOT_IN_A_JOB.items():
        if options[name]:
            raise click.UsageError(f"--{name} does not go with --render-job: {instead}")
    if options["source"] == STDIN:
        raise click.UsageError("-f - does not go with --render-job: the file is read twice; name it")
    if bool(options["api_key_env"]) != bool(options["api_key_secret"]):
        raise click.UsageError("in a Job, --api-key-env and --api-key-secret go together")
    try:
        setup.check(options)
    except setup.UsageError as error:
        raise click.UsageError(str(error)) from error
    file = setup.routes_file(options)
    namespace = options["namespace"] or (read_plan(file, deployed=False).namespace if file else "default")
    return job.render(
        job.Job(
            arguments=tuple(_arguments(ctx)),
            routes=Path(file).read_text(encoding="utf-8") if file else None,
            namespace=namespace,
            image=options["image"] or ROUTEGEN_IMAGE,
            pods=options["pods"],
            claim=options["claim"],
            key_variable=options["api_key_env"],
            secret=options["api_key_secret"],
        )
    )


def _arguments(ctx: click.Context) -> Iterator[str]:
    """The command line's own options again, but for those that say what the Job is, not what it does."""
    for param in ctx.command.params:
        name = param.name or ""
        given = ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if not given or name in {"source", "render_job", *OPTIONS}:
            continue
        value = ctx.params[name]
        option = max(param.opts, key=len)
        if isinstance(param, click.Option) and param.is_flag:
            yield option
            continue
        for one in value if param.multiple else [value]:
            yield from (option, "=".join(one) if isinstance(one, tuple) else str(one))
