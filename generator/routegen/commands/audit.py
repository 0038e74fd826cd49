"""``routegen audit``: what makes a comparison of engines unfair."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from routegen.commands import complete, options
from routegen.common.problems import InputError, UserError, sentences

if TYPE_CHECKING:
    from routegen.audit.reading import Manifest
    from routegen.common.problems import Problem

_SEVERITIES = ("info", "warning", "error", "never")
_FORMATS = ("text", "json", "sarif", "junit", "github")


@click.command("audit")
@click.argument("paths", nargs=-1, metavar="[FILE|DIRECTORY|-]...")
@click.option("--routes", metavar="FILE", help="Compare the engines that the backends of this routes.yaml lead to.")
@click.option("--pair", metavar="A,B[,…]", help="Compare these workloads: name, namespace/name or Kind/name.")
@click.option("--cluster", is_flag=True, help="Read the live cluster (needs the extra `cluster`).")
@click.option("--context", metavar="NAME", help="With --cluster: the kubeconfig context.")
@click.option("-n", "--namespace", metavar="NAME", help="With --cluster: only this namespace.")
@options.output(*_FORMATS)
@click.option(
    "--fail-on",
    type=click.Choice(_SEVERITIES),
    default="warning",
    show_default=True,
    help="Exit with 1 where a finding is at least this grave.",
)
@click.option(
    "--explain",
    "rule_id",
    metavar="FAIRnnn",
    shell_complete=complete.audit_rules,
    help="Explain one rule, and nothing else.",
)
@click.pass_context
def command(
    ctx: click.Context,
    paths: tuple[str, ...],
    routes: str | None,
    pair: str | None,
    cluster: bool,
    context: str | None,
    namespace: str | None,
    form: str,
    fail_on: str,
    rule_id: str | None,
) -> None:
    """Say what makes a comparison of engines unfair.

    Reads manifests: files, directories, what kustomize or Helm print (-), or a live cluster. Shows which resources
    the engines share, then each finding with its place, its reason and its fix.

    \b
    Exit codes: 0 clean, 1 findings at or above --fail-on, 2 the input can't be used. The form changes none of them.

    \b
    Examples:
      routegen audit manifests/engines
      helm template … | routegen audit -
      routegen audit --cluster -n inference --routes routes.yaml
      routegen audit --explain FAIR012
    """
    if rule_id is not None:
        _explain(rule_id)
        return
    if cluster == bool(paths):
        raise click.UsageError("give files, directories or - for standard input; or --cluster")
    if (context or namespace) and not cluster:
        raise click.UsageError("--context and --namespace go with --cluster")
    names = [name.strip() for name in (pair or "").split(",") if name.strip()]
    if pair is not None and not names:
        raise click.UsageError("--pair takes names of workloads, such as a,b")
    from routegen.audit.findings import Severity  # noqa: PLC0415 - not for `--help`
    from routegen.audit.formats import FORMATS  # noqa: PLC0415
    from routegen.audit.reading import read_manifests  # noqa: PLC0415
    from routegen.audit.report import audit  # noqa: PLC0415
    from routegen.pipeline import read_plan  # noqa: PLC0415

    try:
        templates: list[Problem] = []
        manifests = _cluster(context, namespace) if cluster else read_manifests(paths, templates)
        report = audit(
            manifests, names=names, plan=read_plan(routes, deployed=False) if routes else None, templates=templates
        )
    except (InputError, UserError) as error:
        click.echo(sentences(error), err=True)
        ctx.exit(2)  # unlike for other verbs: 1 means findings
    click.echo(FORMATS[form](report), nl=False)
    if fail_on != "never" and report.fails(Severity[fail_on.upper()]):
        ctx.exit(1)


def _cluster(context: str | None, namespace: str | None) -> list[Manifest]:
    from routegen.audit.cluster import read_cluster  # noqa: PLC0415 - an optional dependency

    manifests, unread = read_cluster(context, namespace)
    for what in unread:
        click.echo(f"routegen: not read: {what}", err=True)
    return manifests


def _explain(rule_id: str) -> None:
    from routegen.audit.explain import explain  # noqa: PLC0415 - not for `--help`
    from routegen.audit.rules import BY_ID  # noqa: PLC0415

    rule = BY_ID.get(rule_id.upper())
    if rule is None:
        raise click.UsageError(f'no rule is called "{rule_id}"; known: {min(BY_ID)} to {max(BY_ID)}, see docs/audit.md')
    click.echo(explain(rule), nl=False)
