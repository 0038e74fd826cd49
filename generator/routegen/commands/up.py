"""``routegen up``: Envoy and the router on this machine, now."""

from __future__ import annotations

import click

from routegen.commands.options import routes_file

PORT = click.IntRange(0, 65535)


def _read_engines(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """``NAME=URL`` each."""
    from routegen.local.engines import read_address  # noqa: PLC0415 - not for `--help`

    try:
        engines = list(map(read_address, values))
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from error
    for index, (name, _) in enumerate(engines):
        if name in dict(engines[:index]):
            raise click.BadParameter(f"{name} is given twice; a backend's engine has one address", ctx, param)
    return dict(engines)


@click.command("up")
@routes_file
@click.option(
    "--engine",
    "engines",
    multiple=True,
    metavar="NAME=URL",
    callback=_read_engines,
    help="Where a backend's engine is; may be repeated.",
)
@click.option("--mock-engines", is_flag=True, help="A small engine that invents its text for every other backend.")
@click.option("--cluster", is_flag=True, help="Forward every other backend that is a Service, by kubectl.")
@click.option("--context", metavar="NAME", help="With --cluster: the kubeconfig's context.")
@click.option(
    "--port",
    type=PORT,
    metavar="PORT",
    default=10000,
    show_default=True,
    help="Where clients connect; 0 is any free one.",
)
@click.option(
    "--admin-port", type=PORT, metavar="PORT", default=0, help="Envoy's admin interface; any free one by default."
)
def command(
    source: str,
    engines: dict[str, str],
    context: str | None,
    port: int,
    admin_port: int,
    *,
    mock_engines: bool,
    cluster: bool,
) -> None:
    """Run Envoy and the router on this machine, now.

    Listens on loopback, prints requests to paste, and each request's decision as it passes. Changes of routes.yaml are
    taken over without a failed request. Ctrl-C ends everything and leaves nothing behind.

    \b
    Examples:
      routegen up --mock-engines
      routegen up --engine vllm=http://127.0.0.1:8001 --engine sglang=http://127.0.0.1:30000
      routegen up --cluster
    """
    if cluster and mock_engines:
        raise click.UsageError("--cluster and --mock-engines both give the other backends an engine; take one of them")
    if context is not None and not cluster:
        raise click.UsageError("--context goes with --cluster")
    if port == admin_port != 0:
        raise click.UsageError(
            f"--port and --admin-port both name the port {port}; clients and Envoy's admin interface need one each"
        )
    from routegen.local.up import Options, run  # noqa: PLC0415 - not for `--help`

    run(
        Options(
            source=source,
            engines=engines,
            mock_engines=mock_engines,
            cluster=cluster,
            context=context,
            port=port,
            admin_port=admin_port,
        )
    )
