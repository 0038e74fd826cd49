"""``python -m routegen_router``: run the router."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import __version__
from .addresses import StartError
from .logs import LEVELS
from .server import Options, run


def main(arguments: list[str] | None = None) -> int:
    """Run until a signal; the exit code: 0, or 1 where it couldn't start (misuse is 2, from argparse)."""
    options = parser().parse_args(arguments)
    try:
        run(Options(**vars(options) | {"listen": tuple(options.listen)}))
    except StartError as error:
        print(f"routegen router: {error}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line; ``routegen router`` takes the same options."""
    made = argparse.ArgumentParser(
        prog="python -m routegen_router",
        description="An Envoy external processor that chooses an inference engine per request.",
        epilog="example: python -m routegen_router --config router.json --listen 127.0.0.1:50051",
    )
    made.add_argument("--version", action="version", version=f"routegen-router {__version__}")
    made.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="the router's configuration, as routegen renders it"
    )
    made.add_argument(
        "--listen",
        action="append",
        required=True,
        metavar="ADDR",
        help="host:port, [::]:port or unix:/path; repeat it to listen on several; port 0 is any free one",
    )
    made.add_argument(
        "--socket-mode",
        type=_mode,
        default=Options.socket_mode,
        metavar="MODE",
        help="who may connect to a Unix socket, in octal: 660 for a gateway of another user and the same group"
        " (default: 600)",
    )
    made.add_argument(
        "--workers",
        type=_count,
        metavar="N",
        help="processes that decide, the first on ADDR, each other one a port (or /path.1, /path.2) further"
        " (default: what the configuration says, else what the container's CPU limit allows)",
    )
    made.add_argument(
        "--metrics",
        default=Options.metrics,
        metavar="ADDR",
        help='host:port of /metrics, /registry, /healthz and /readyz; "" for none (default: %(default)s)',
    )
    made.add_argument(
        "--ready-file", type=Path, metavar="PATH", help="write the bound addresses there, as JSON, once ready"
    )
    made.add_argument(
        "--drain-seconds",
        type=float,
        default=Options.drain_seconds,
        metavar="S",
        help="how long to go on serving after SIGTERM, reported as not serving (default: %(default)g)",
    )
    made.add_argument("--log-level", choices=LEVELS, default=Options.log_level, help="(default: %(default)s)")
    made.add_argument("--log-format", choices=("json", "text"), default=Options.log_format)
    return made


def _mode(text: str) -> int:
    """A file's mode in octal."""
    if not 0 <= (mode := int(text, 8)) <= 0o777:  # noqa: PLR2004 - what chmod takes
        raise ValueError(text)
    return mode


def _count(text: str) -> int:
    """A number, one at least."""
    if (count := int(text)) < 1:
        raise ValueError(text)
    return count


if __name__ == "__main__":
    sys.exit(main())
