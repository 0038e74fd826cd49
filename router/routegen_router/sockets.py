"""Unix sockets to listen on: one process a path, whatever was left there, and for nobody else than was meant."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
from pathlib import Path
from typing import Final

MAX_PATH: Final = 103
"""Bytes of a Unix socket's path: the kernel's limit on macOS; Linux takes 107."""
MODE: Final = 0o600
"""Who may connect, as of a file that is written to: the router's own user."""


class StartError(Exception):
    """The router can't start; says what stands in the way and what to do."""


class Claim:
    """A path that no other router listens on, from now until this process ends, however it does.

    What connecting tells isn't enough: of two routers that start at the same moment each would find nobody, and the
    second would take the path from the first without a word.
    """

    def __init__(self, path: str) -> None:
        """Claim it.

        :raises StartError: another process has, or the path can't be used.
        """
        check(path)
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, MODE)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise _taken(path) from None
        self._path = path

    def permit(self, mode: int) -> None:
        """Say who may connect: whoever may write to a file of this mode."""
        Path(self._path).chmod(mode)


def check(path: str) -> None:
    """Say why a Unix socket can't be made, and that somebody else listens there already.

    :raises StartError: one or the other.
    """
    if len(os.fsencode(path)) > MAX_PATH:
        raise StartError(f"can't listen on unix:{path}: the path is longer than {MAX_PATH} bytes")
    if not os.access(Path(path).parent, os.W_OK):
        raise StartError(f"can't listen on unix:{path}: its folder doesn't exist, or nothing may be written there")
    try:
        kind = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise StartError(f"can't listen on unix:{path}: something else than a socket is there")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)  # one that hangs takes no more connections, and is there nevertheless
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return  # left behind
        except OSError:
            pass
        raise _taken(path)


def _taken(path: str) -> StartError:
    return StartError(f"can't listen on unix:{path}: another process does; choose another path with --listen")
