"""``routegen status``: whether what a routes.yaml renders is live in the cluster."""

from __future__ import annotations

import click

from routegen.commands import options
from routegen.common.problems import InputError, UserError, sentences


@click.command("status")
@options.routes_file
@options.target
@click.option("--context", metavar="NAME", help="The kubeconfig's context; default: its current one.")
@click.option("-o", "--output", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
@options.print_rbac
@click.pass_context
def command(
    ctx: click.Context, source: str, target: str | None, context: str | None, format_: str, print_rbac: bool
) -> None:
    """Say whether what a routes.yaml renders is live in the cluster.

    Looks at each object that is rendered: is it there, as it is rendered, accepted by its controller; what is left over
    from earlier; how far the router's rollout is; and what each router knows of the engines, asked through the API
    server. With target istio it also asks istiod and the Gateway's proxies, since no object tells whether an
    EnvoyFilter has its effect. Each trouble comes with what to do. Nothing is changed. Needs the extra `cluster`, and
    the rights that --print-rbac prints for this file.

    \b
    Exit codes: 0 all is well, 1 there is trouble, or something couldn't be looked at, 2 the input can't be used, or
    the cluster can't be reached.

    \b
    Examples:
      routegen status
      routegen status -f team-a/routes.yaml --context staging -o json
      routegen status --print-rbac | kubectl apply -f -
    """
    from routegen import targets  # noqa: PLC0415 - not for `--help`
    from routegen.cluster import Cluster  # noqa: PLC0415
    from routegen.common.rbac import rbac  # noqa: PLC0415
    from routegen.pipeline import read_plan, render  # noqa: PLC0415
    from routegen.status import told  # noqa: PLC0415
    from routegen.status.judging import judge  # noqa: PLC0415
    from routegen.status.reading import read, rights  # noqa: PLC0415

    try:
        plan = read_plan(source, target)
        chosen = targets.find(plan.gateway.target)
        if not chosen.capabilities.deploys_router:
            raise click.UsageError(f"target {plan.gateway.target} renders files, and nothing in a cluster", ctx)
        documents = render(plan).documents
        if print_rbac:
            listed, asked = rights(plan, chosen, documents)
            click.echo(rbac("status", listed, asked), nl=False)
            return
        report = judge(plan, chosen, documents, read(Cluster(context), plan, chosen, documents))
    except (InputError, UserError) as error:
        click.echo(sentences(error), err=True)
        ctx.exit(2)  # unlike for other verbs: 1 means that there is trouble
    click.echo(told.as_json(report) if format_ == "json" else told.text(report), nl=False)
    ctx.exit(1 if report.troubles or report.unread else 0)
