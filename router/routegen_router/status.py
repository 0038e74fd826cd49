"""The router's own HTTP port, for operators: ``/metrics``, ``/registry``, ``/healthz``, ``/readyz``."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET6, IPPROTO_IPV6, IPV6_V6ONLY
from threading import Thread
from typing import Final, Literal

import msgspec

from .cards import Card
from .condition import Polled
from .models import Answer
from .poller import Registry

_log = logging.getLogger("routegen.status")
TIMEOUT: Final = 10.0
"""Seconds that a client may take for its request."""


class PolledModels(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine itself told."""

    models: dict[str, int]
    """Model id -> its ``created`` time in Unix seconds (0 where the engine gave none)."""
    owner: str | None
    cards: dict[str, Card] = {}
    """Model id -> what else it told, such as ``max_model_len``."""


class BackendStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What the router knows of one backend."""

    name: str
    owner: str | None
    """The one that counts: configured, else polled."""
    source: Literal["polled", "static", "none"]
    """Where the knowledge comes from; ``none``: its engine is polled and has never answered."""
    asked: bool
    """Whether its engine has answered, failed to, or let its time go by; true where it isn't polled."""
    alive: bool
    """Whether it gets requests that nobody sent to it by name."""
    age_seconds: float | None
    """Since the engine last told its models; ``null`` where it never has."""
    error: str | None
    """What is wrong with its engine, as a kind; ``null`` where nothing is."""
    detail: str | None = None
    """What was noticed of it, in words; ``null`` where nothing was."""
    configured: tuple[str, ...]
    """Ids and globs from the configuration."""
    polled: PolledModels | None


class RegistryStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The document that ``GET /registry`` answers with."""

    asked: bool
    """Whether every polled engine was asked once."""
    complete: bool
    """Whether the models of every backend are known."""
    backends: tuple[BackendStatus, ...]
    """In the order of routes.yaml."""


read_status: Final = msgspec.json.Decoder(RegistryStatus).decode
"""Reads the document.

:raises msgspec.MsgspecError: it is another one.
"""


def registry_status(registry: Registry) -> RegistryStatus:
    """What the router knows of all backends now."""
    now = time.time()
    backends = tuple(_backend(entry, now) for entry in registry.backends.values())
    return RegistryStatus(asked=registry.asked, complete=registry.view().complete, backends=backends)


class StatusServer:
    """Serves in a thread of its own, so that it answers even when the event loop doesn't."""

    def __init__(
        self,
        address: tuple[str, int],
        *,
        metrics: Callable[[], bytes],
        registry: Callable[[], Registry],
        ready: Callable[[], bool],
    ) -> None:
        """Bind and serve.

        :raises OSError: the address can't be bound.
        """

        class Handler(_Handler):
            pages = {  # noqa: RUF012 - made here, never changed
                "/metrics": lambda: (200, "text/plain; version=0.0.4; charset=utf-8", metrics()),
                "/registry": lambda: (200, "application/json", msgspec.json.encode(registry_status(registry()))),
                "/healthz": lambda: (200, "text/plain", b"ok\n"),
                "/readyz": lambda: (200, "text/plain", b"ready\n") if ready() else (503, "text/plain", b"not ready\n"),
            }

        family = _Server6 if ":" in address[0] else _Server
        self._server = family(address, Handler)
        self.port: int = self._server.server_address[1]
        Thread(target=self._server.serve_forever, name="status", daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


Page = Callable[[], tuple[int, str, bytes]]


class _Handler(BaseHTTPRequestHandler):
    pages: dict[str, Page]
    timeout = TIMEOUT
    protocol_version = "HTTP/1.1"
    server_version = "routegen"
    sys_version = ""

    def do_GET(self) -> None:
        page = self.pages.get(self.path.partition("?")[0])
        status, kind, body = page() if page else (HTTPStatus.NOT_FOUND, "text/plain", b"not found\n")
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - as above

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the inherited signature
        """Scrapes aren't worth a line."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Where the standard library prints a traceback: a probe may hang up whenever it likes."""
        del request, client_address
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            _log.exception("a page failed")


class _Server6(_Server):
    """``[::]`` is for IPv4 as well, whatever the machine's default is."""

    address_family = AF_INET6

    def server_bind(self) -> None:
        self.socket.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 0)
        super().server_bind()


def _backend(entry: Polled, now: float) -> BackendStatus:
    backend, answer = entry.known.backend, entry.known.answer
    return BackendStatus(
        name=backend.name,
        owner=entry.known.owner,
        source="static" if backend.poll is None else "polled" if answer is not None else "none",
        asked=entry.known.asked,
        alive=entry.known.alive,
        age_seconds=round(now - answer.at, 3) if answer is not None else None,
        error=entry.trouble,
        detail=entry.detail,
        configured=backend.models,
        polled=_polled(answer) if answer is not None else None,
    )


def _polled(answer: Answer) -> PolledModels:
    return PolledModels(models=dict(answer.models), owner=answer.owner, cards=dict(answer.cards))
