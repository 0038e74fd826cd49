"""What shells complete beyond verbs, options and files: names that are in a routes.yaml or in our own tables.

A file that can't be read completes nothing; whoever runs the verb is told why.
"""

from __future__ import annotations

import click

from routegen.common.problems import UserError


def kinds(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """``render --only``: the kinds that the file's target makes, after a comma too."""
    from routegen import pipeline  # noqa: PLC0415 - only where a shell asks

    del param
    before, comma, last = incomplete.rpartition(",")
    try:
        output = pipeline.render(pipeline.read_plan(_file(ctx), ctx.params.get("target")))
    except UserError:
        return []
    known = dict.fromkeys(document.kind for document in output.documents)
    return [f"{before}{comma}{kind}" for kind in known if kind.lower().startswith(last.lower())]


def backends(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """``--engine``, ``--expect``: the file's backends."""
    from routegen.pipeline import read_plan  # noqa: PLC0415 - only where a shell asks

    del param
    try:
        plan = read_plan(_file(ctx), deployed=False)
    except UserError:
        return []
    return [backend.name for backend in plan.backends if backend.name.startswith(incomplete)]


def metrics(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """``bench --primary``."""
    from routegen.bench.metrics import COMPARED, TAILS  # noqa: PLC0415 - only where a shell asks

    del ctx, param
    return [key for key in (*COMPARED, *(metric.key for metric in TAILS)) if key.startswith(incomplete)]


def audit_rules(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """``audit --explain``."""
    from routegen.audit.rules import RULES  # noqa: PLC0415 - only where a shell asks

    del ctx, param
    return [rule.id for rule in RULES if rule.id.startswith(incomplete.upper())]


def _file(ctx: click.Context) -> str:
    return str(ctx.params.get("source") or "routes.yaml")
