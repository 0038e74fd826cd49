"""What may stand at a dead engine's address: nobody, somebody who takes no connection, or who breaks each one off."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def black_hole(address: tuple[str, int]) -> Iterator[None]:
    """Packets get lost: Linux drops what asks for a connection to a socket whose backlog is full."""
    with contextlib.ExitStack() as held:
        listening = held.enter_context(_bound(address))
        listening.listen(0)
        for _ in range(4):  # more than fit
            one = held.enter_context(socket.socket())
            one.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                one.connect(address)
        yield


@contextmanager
def resetting(address: tuple[str, int]) -> Iterator[None]:
    """Each connection is taken and broken off (RST) at once."""
    with _bound(address) as listening:
        listening.listen(128)
        listening.settimeout(0.1)
        end = threading.Event()

        def run() -> None:
            while not end.is_set():
                with contextlib.suppress(TimeoutError):
                    connection, _ = listening.accept()
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    connection.close()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()


def _bound(address: tuple[str, int]) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(address)
    return made
