"""``routegen router``: run just the router; the same options as ``python -m routegen_router``."""

from __future__ import annotations

import re
from pathlib import Path

import click

from routegen.common.problems import UserError


def _octal(_context: click.Context, _option: click.Parameter, value: str) -> int:
    if re.fullmatch("[0-7]{3}", value) is None:
        raise click.BadParameter(f"{value!r} is no mode such as 660")
    return int(value, 8)


@click.command("router")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="The router's configuration, as `routegen render` writes it.",
)
@click.option(
    "--listen",
    multiple=True,
    required=True,
    metavar="ADDR",
    help="host:port, [::]:port or unix:/path; repeat it to listen on several. Port 0 is any free one.",
)
@click.option(
    "--socket-mode",
    callback=_octal,
    default="600",
    show_default=True,
    metavar="MODE",
    help="Who may connect to a Unix socket, in octal: 660 for a gateway of another user and the same group.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Processes that decide, the first on ADDR, each other one a port (or /path.1, /path.2) further."
    "  [default: what the configuration says, else what the container's CPU limit allows]",
)
@click.option(
    "--metrics",
    default="127.0.0.1:9464",
    show_default=True,
    metavar="ADDR",
    help='host:port of /metrics, /registry, /healthz and /readyz; "" for none.',
)
@click.option(
    "--ready-file",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Write the bound addresses there, as JSON, once ready.",
)
@click.option(
    "--drain-seconds",
    type=click.FloatRange(min=0),
    default=5.0,
    show_default=True,
    metavar="S",
    help="How long to go on serving after SIGTERM, reported as not serving.",
)
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
@click.option("--log-format", type=click.Choice(["json", "text"]), default="json", show_default=True)
def command(
    config: Path,
    listen: tuple[str, ...],
    socket_mode: int,
    workers: int | None,
    metrics: str,
    ready_file: Path | None,
    drain_seconds: float,
    log_level: str,
    log_format: str,
) -> None:
    """Run just the router: an Envoy external processor.

    SIGTERM and Ctrl-C drain it, a second one ends it at once. It reads its configuration again when the file changes.

    \b
    Example:
      routegen router --config router.json --listen 127.0.0.1:50051
    """
    from routegen_router.addresses import StartError  # noqa: PLC0415 - grpc is heavy; --help needs none of it
    from routegen_router.server import Options, run  # noqa: PLC0415 - as above

    if config.suffix in {".yaml", ".yml"}:
        raise click.UsageError(
            "--config is the router's own file: routegen render --target envoy --only router-config > router.json"
        )
    options = Options(
        config=config,
        listen=listen,
        socket_mode=socket_mode,
        workers=workers,
        metrics=metrics,
        ready_file=ready_file,
        drain_seconds=drain_seconds,
        log_level=log_level,
        log_format="text" if log_format == "text" else "json",
    )
    try:
        run(options)
    except StartError as error:
        raise UserError(str(error)) from error
