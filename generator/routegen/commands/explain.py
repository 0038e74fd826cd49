"""``routegen explain``: which backend a request would go to, and why."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from routegen.commands import complete, options
from routegen.common.words import choices

if TYPE_CHECKING:
    from routegen.explain.knowledge import Knowledge
    from routegen.explain.report import Report
    from routegen.plan import Plan

MAX_NAME = 256
"""No file has a longer name."""


@click.command("explain")
@options.routes_file
@click.option(
    "--body",
    metavar="JSON|@FILE|-",
    help="The request's body; @FILE reads a file, - standard input. Default for POST: {}.",
)
@click.option("--method", default="POST", show_default=True, help="The request's method.")
@click.option("--path", help="The request's path. Default: the first of spec.paths.")
@click.option("-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A header; may be repeated.")
@click.option(
    "--poll/--no-poll",
    default=None,
    help="Ask the engines which models they serve (the default), or trust routes.yaml alone.",
)
@click.option("--registry", metavar="URL", help="Ask a running router instead: its metrics address.")
@click.option("--seed", type=int, metavar="N", help="Make random choices repeatable.")
@click.option(
    "--expect",
    metavar="BACKEND",
    shell_complete=complete.backends,
    help="Exit with 1 unless every such request goes to BACKEND.",
)
@options.output("text", "json")
def command(
    source: str,
    body: str | None,
    method: str,
    path: str | None,
    headers: tuple[str, ...],
    poll: bool | None,
    registry: str | None,
    seed: int | None,
    expect: str | None,
    form: str,
) -> None:
    """Show which backend a request would go to, and why.

    Runs the router's own code on the request and prints the candidates, what each rule did, the decision, and what
    the client would get. Nothing is sent to an engine but the question which models it serves.

    \b
    Examples:
      routegen explain --body '{"model": "llama", "inference_server": "vllm"}'
      routegen explain --body @request.json -H 'x-tenant: gold' --no-poll
      routegen explain --body '{"model": "llama"}' --no-poll --expect vllm
      routegen explain --method GET --path /v1/models
      kubectl port-forward deploy/qwen-compare-router 9464 &
      routegen explain --registry http://127.0.0.1:9464 -o json < request.json --body -
    """
    import random  # noqa: PLC0415 - not for `--help`

    from routegen.explain.gateway import Request  # noqa: PLC0415 - not for `--help`
    from routegen.explain.report import explain  # noqa: PLC0415 - not for `--help`
    from routegen.explain.text import as_json, as_text  # noqa: PLC0415 - not for `--help`
    from routegen.pipeline import read_plan  # noqa: PLC0415 - not for `--help`

    if source == "-" and body == "-":
        raise click.UsageError("routes.yaml and the body can't both be read from standard input")
    if registry is not None and poll is not None:
        raise click.UsageError("--registry asks a router, --poll and --no-poll don't; give one of them")
    if path is not None and not path.startswith("/"):
        raise click.UsageError(f"--path begins with /, such as /{path}")
    data, pairs = _body(body, method), [_header(text) for text in headers]
    plan = read_plan(source, deployed=False)
    names = [backend.name for backend in plan.backends]
    if expect is not None and expect not in names:
        raise click.UsageError(f'--expect takes a backend, "{expect}" is none; {choices(expect, names)}')
    report = explain(
        plan,
        _knowledge(plan, registry, poll=poll is not False),
        Request(method.upper(), path if path is not None else plan.paths[0], tuple(pairs), data),
        random.Random(seed).random,  # noqa: S311 - not a secret
    )
    for warning in report.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(as_json(report) if form == "json" else as_text(report), nl=False)
    if expect is not None:
        _check(report, expect)


def _check(report: Report, expect: str) -> None:
    from routegen.checks.cases import ExpectCase  # noqa: PLC0415 - not for `--help`
    from routegen.checks.run import differences  # noqa: PLC0415

    found = list(differences(ExpectCase(backend=expect), report))
    for difference in found:
        click.echo(f"routegen: {difference}", err=True)
    if found:
        sys.exit(1)


def _knowledge(plan: Plan, registry: str | None, *, poll: bool) -> Knowledge:
    from routegen.explain import knowledge  # noqa: PLC0415 - not for `--help`
    from routegen.explain.report import checked_config  # noqa: PLC0415 - not for `--help`

    config = checked_config(plan)
    if registry is not None:
        return knowledge.from_router(config, registry)
    return knowledge.polled(config) if poll else knowledge.static(config)


def _body(given: str | None, method: str) -> bytes:
    if given is None:
        return b"{}" if method.upper() == "POST" else b""
    if given == "-":
        return sys.stdin.buffer.read()
    if "{" not in given and len(given) < MAX_NAME and Path(given).is_file():
        raise click.UsageError(f"--body {given} would be the body itself; --body @{given} reads the file")
    if not given.startswith("@"):
        return given.encode("utf-8", "surrogateescape")
    try:
        return Path(given[1:]).read_bytes()
    except OSError as error:
        raise click.UsageError(f"--body {given}: {error.strerror}") from error


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or any(char.isspace() for char in name):
        raise click.UsageError("-H is not 'name: value' (its text isn't repeated here: it may hold a credential)")
    return name, value.strip()
