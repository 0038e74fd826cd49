"""``routegen bench --render-job``: the same command line again, as a Job inside the cluster."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click
from click.core import ParameterSource

from routegen.distribution import ROUTEGEN_IMAGE
from routegen.plan import Plan

OPTIONS: Final = ("image", "namespace", "claim", "api_key_secret")
"""What only says how the Job runs."""

_NOT_IN_A_JOB: Final = {
    "output_dir": "the Job has a run folder of its own; keep it with --claim",
    "resume": "a Job measures a new run",
    "manifests": "give them to `routegen bench report` afterwards",
    "prompts": "the file is not in the cluster",
    "context": "inside the cluster there is only one",
    "api_key_file": "the file is not in the cluster; name the Secret under apiKey of the routes.yaml",
}


def render(ctx: click.Context, options: Mapping[str, Any]) -> str:
    """The documents of a Job that does what this command line says.

    :raises click.UsageError: it says something that a Job can't do.
    """
    from routegen.bench import job, setup, sweep_setup  # noqa: PLC0415 - not for `--help`
    from routegen.bench.values import UsageError  # noqa: PLC0415
    from routegen.pipeline import STDIN, read_plan  # noqa: PLC0415

    for name, instead in _NOT_IN_A_JOB.items():
        if options[name]:
            raise click.UsageError(f"--{name.replace('_', '-')} does not go with --render-job: {instead}")
    if options["source"] == STDIN:
        raise click.UsageError("-f - does not go with --render-job: the file is read twice; name it")
    if bool(options["api_key_env"]) != bool(options["api_key_secret"]):
        raise click.UsageError("in a Job, --api-key-env and --api-key-secret go together")
    try:
        _, arms = (sweep_setup if options["sweep"] else setup).check(options)
    except UsageError as error:
        raise click.UsageError(str(error)) from error
    file = setup.routes_file(options)
    plan = read_plan(file, deployed=False) if file else None
    namespace = options["namespace"] or (plan.namespace if plan else "default")
    own_keys = not options["api_key_env"]
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
            keys=tuple(_keys(plan, {arm.engine for arm in arms}, namespace)) if plan and own_keys else (),
        )
    )


def _keys(plan: Plan, engines: Collection[str], namespace: str) -> Iterator[tuple[str, str, str]]:
    """The Secrets with the keys of these engines, as :class:`~routegen.bench.job.Job` takes them."""
    for backend in plan.backends:
        key = backend.api_key
        if key is None or backend.name not in engines:
            continue
        if key.secret is None:
            raise click.UsageError(
                f"the API key of {backend.name} lies in a variable or a file, which a Job doesn't have: add secretName "
                "to its apiKey, or use --api-key-env and --api-key-secret"
            )
        if namespace != plan.namespace:
            raise click.UsageError(
                f"the API key of {backend.name} lies in a Secret of the namespace {plan.namespace}, which a Job in "
                f"{namespace} can't have: use --api-key-env and --api-key-secret"
            )
        yield backend.name, key.secret, key.secret_key


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
            yield from (option, "=".join(one) if type(one) is tuple else str(one))
