"""Addresses to listen on: ``host:port``, ``[::]:port`` or ``unix:/path``, and why one can't be had."""

from __future__ import annotations

import re
import socket
from typing import Final

from . import sockets
from .sockets import StartError

__all__ = ["HIGHEST", "UNIX", "StartError", "bound", "check", "of_worker", "split"]

UNIX: Final = "unix:"
HIGHEST: Final = 65535
"""TCP's last port."""


def check(address: str) -> None:
    """Say why an address can't be listened on; grpc's own error doesn't.

    :raises StartError: it can't.
    """
    if address.startswith(UNIX):
        sockets.check(address.removeprefix(UNIX))
    else:
        _check_port(address)


def bound(address: str, port: int) -> str:
    """The address with the port that was bound, where it has one."""
    return address if address.startswith(UNIX) else f"{address.rpartition(':')[0]}:{port}"


def of_worker(address: str, index: int) -> str:
    """Where the worker of this index listens, from 0 on, if the first does on ``address``.

    On the ports behind it (port 0 stays any free one), or with a number at the end of a socket's path.

    :raises StartError: it is no address, or there is no such port.
    """
    if address.startswith(UNIX):
        return f"{address}.{index}" if index else address
    host, port = address.rpartition(":")[0], split(address, "--listen")[1]
    if port and port + index > HIGHEST:
        raise StartError(
            f"--listen {address}: worker {index + 1} would need port {port + index}, and {HIGHEST} is the last"
        )
    return f"{host}:{port + index if port else 0}"


def split(address: str, option: str) -> tuple[str, int]:
    """Host and port.

    :raises StartError: it is not ``host:port``.
    """
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.%\w]+\]|[^:\s\[\]]+):(\d{1,5})", address)
    if found is None or int(found[2]) > HIGHEST:
        example = "127.0.0.1:50051, [::]:50051 or unix:/path" if option == "--listen" else "127.0.0.1:9464"
        raise StartError(f"{option} {address!r} is not an address; it looks like {example}")
    host = found[1].strip("[]")
    if host == "::" and not socket.has_dualstack_ipv6():
        host = "0.0.0.0"  # noqa: S104 - "[::]" means everywhere, on machines without IPv6 too (grpc reads it so)
    return host, int(found[2])


def _check_port(address: str) -> None:
    """Say what grpc doesn't: why a port can't be had.

    :raises StartError: it can't.
    """
    host, port = split(address, "--listen")
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except OSError as error:
        raise StartError(
            f"can't listen on {address}: {error.strerror}; choose another address with --listen"
        ) from error
