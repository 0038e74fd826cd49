"""Small HTTP engines in threads, good and bad ones, for what polls them."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Respond = Callable[["Request"], None]


class Request(BaseHTTPRequestHandler):
    """One request; answers are written with :meth:`answer` or straight to ``wfile``."""

    server: _Server

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        """Send a whole response."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        """Let the test's function answer."""
        self.server.asked.append(self.path)
        with contextlib.suppress(ConnectionError):  # the poller may have given up
            self.server.respond(self)

    def do_POST(self) -> None:
        """Read the body, then let the test's function answer."""
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the inherited signature
        """Be quiet."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    respond: Respond
    asked: list[str]
    tls: ssl.SSLContext | None = None
    """Speak TLS to those who begin so, and HTTP to the others."""

    def get_request(self) -> tuple[Any, Any]:
        connection, client = super().get_request()
        if self.tls is not None and connection.recv(1, socket.MSG_PEEK) == b"\x16":
            connection = self.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, client

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves in the middle of a handshake is part of the tests."""


@dataclass
class Engine:
    """A running engine."""

    url: str
    """Of its list of models."""
    server: _Server
    asked: list[str] = field(default_factory=list)
    """The paths of the requests so far."""

    @property
    def port(self) -> int:
        """On 127.0.0.1."""
        return int(self.server.server_address[1])

    def responds(self, respond: Respond) -> None:
        """Answer differently from now on."""
        self.server.respond = respond


@contextlib.contextmanager
def engine(
    respond: Respond, tls: ssl.SSLContext | None = None, *, plain_too: bool = False, port: int = 0
) -> Iterator[Engine]:
    """Run an engine, on a free port or on one from :func:`refusing`."""
    server = _Server(("127.0.0.1", port), Request)
    server.respond, server.asked = respond, []
    if plain_too:
        server.tls = tls
    elif tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        scheme = "https" if tls is not None else "http"
        yield Engine(f"{scheme}://127.0.0.1:{server.server_address[1]}/v1/models", server, server.asked)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def refusing() -> Iterator[tuple[str, int]]:
    """An address where connections are refused, and which nobody else gets meanwhile: bound, but not listened on.

    An :func:`engine` may listen there now and then.
    """
    with socket.socket() as nobody:
        nobody.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        nobody.bind(("127.0.0.1", 0))
        yield "127.0.0.1", nobody.getsockname()[1]


@contextlib.contextmanager
def never_reading() -> Iterator[tuple[str, int]]:
    """An address where connections are taken, by the kernel, and nobody ever reads."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        nobody.listen(4096)
        yield "127.0.0.1", nobody.getsockname()[1]


def serving(*models: str, owner: str | None = "vllm") -> Respond:
    """Answer with OpenAI's list of these models."""
    entries = [{"id": model, "object": "model", "created": 1700000000, "owned_by": owner} for model in models]
    document = json.dumps({"object": "list", "data": entries}).encode()
    return lambda request: request.answer(200, document)


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, Path]:
    """A self-signed certificate for a DNS name: the server's context, and the PEM file that trusts it."""
    key, file = folder / f"{name}.key", folder / f"{name}.pem"
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
            ),
            *("-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", str(key), "-out", str(file)),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key)
    return context, file
