"""A node that can go without a word: a TCP forwarder that stops taking connections without refusing them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread


class Forwarder:
    """Forwards connections to ``address`` until :meth:`vanish`."""

    def __init__(self, address: str) -> None:
        self._host, _, port = address.rpartition(":")
        self._port, self._gone, self._open = int(port), Event(), list[socket.socket]()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=0)
        self._listener.settimeout(0.05)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = Thread(target=self._accept, daemon=True)
        self._thread.start()

    def vanish(self) -> None:
        """End all connections, and let those that follow wait for ever: the queue of the listener is full."""
        self._gone.set()
        self._thread.join()
        self._end()
        for _ in range(4):
            waiting = socket.socket()
            waiting.setblocking(False)
            waiting.connect_ex(self._listener.getsockname())
            self._open.append(waiting)

    def close(self) -> None:
        """End everything."""
        self._gone.set()
        self._thread.join()
        self._end()
        self._listener.close()

    def _end(self) -> None:
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open.clear()

    def _accept(self) -> None:
        while not self._gone.is_set():
            with suppress(TimeoutError):
                client, _ = self._listener.accept()
                server = socket.create_connection((self._host, self._port))
                client.settimeout(None)
                self._open += [client, server]
                for source, sink in ((client, server), (server, client)):
                    Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)


@contextmanager
def forwarder(address: str) -> Iterator[Forwarder]:
    """One that ends with the block."""
    made = Forwarder(address)
    try:
        yield made
    finally:
        made.close()
