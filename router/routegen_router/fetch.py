"""One ``GET`` to one engine: blocking, within a deadline, and every way to fail told apart in words."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from threading import Timer
from typing import Final
from urllib.parse import urlsplit

from .config import Poll

KINDS: Final = {
    "refused": "nothing listens there: connections are refused",
    "unreachable": "no connection",
    "name": "its name can't be resolved",
    "timeout": "no whole answer in time",
    "warming": "it is still warming up",
    "key": "it wants a key, or another one",
    "no_key": "its key can't be read",
    "speaks_tls": "it speaks TLS, and routes.yaml says nothing of that",
    "no_tls": "it speaks no TLS",
    "tls": "its certificate isn't accepted",
    "http": "its answer is not HTTP",
    "redirect": "it answers with a redirect",
    "status": "it answers with an error",
    "too_large": "its list of models is too long",
    "not_a_list": "its answer is not a list of models",
}
"""Kinds of trouble with an engine, as ``/registry`` names them -> what people are told."""
ANSWERS: Final = frozenset({"warming", "key", "no_key", "redirect", "too_large", "not_a_list"})
"""Kinds that say nothing against an engine's life; so does ``status``, below 500."""
SURE: Final = frozenset({"speaks_tls", "no_tls"})
"""Kinds that won't be otherwise the next time: the gateway, which speaks to it in the same way, fails as well."""

_SPEAKS_TLS: Final = "speaks TLS, and was asked without"
_PLAIN: Final = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNEXPECTED_MESSAGE"})
"""OpenSSL's reasons where the other side speaks no TLS."""


class PollError(Exception):
    """An engine gave no usable answer."""

    def __init__(self, kind: str, detail: str, *, answers: bool | None = None) -> None:
        self.kind = kind
        """One of :data:`KINDS`."""
        self.answers = kind in ANSWERS if answers is None else answers
        """Whether the engine lives nevertheless."""
        super().__init__(detail)


@dataclass(frozen=True, slots=True)
class Response:
    """What came back."""

    status: int
    body: bytes
    """At most one byte more than was asked for."""


def get(url: str, poll: Poll, headers: Mapping[str, str], *, connect: float, patience: float, limit: int) -> Response:
    """Ask for ``url``.

    Redirects are not followed: an engine's own answer is wanted, not what a gateway in between makes of it.

    :param poll: how its TLS is verified.
    :param connect: seconds that the connection may take, apart from the resolution of a DNS name.
    :param patience: seconds that all of it may take.
    :param limit: bytes of the body that are read.
    :raises PollError: no answer came in time.
    """
    ends = time.monotonic() + patience
    try:
        with _connect(url, poll, min(connect, patience)) as sock:
            sock.settimeout(patience)
            # A socket's own timeout starts anew with each byte: an engine that drips could hold a thread for hours.
            timer = Timer(max(ends - time.monotonic(), 0), _cut, [sock])
            timer.daemon = True
            timer.start()
            try:
                response = _talk(sock, url, headers, limit)
            finally:
                timer.cancel()
    except Exception as error:  # whatever an engine says, polling must go on
        told = explained(error, late=time.monotonic() >= ends, timeout=patience)
        if told.kind == "http" and _wants_tls(url, connect):
            told = PollError("speaks_tls", _SPEAKS_TLS)
        raise told from error
    if time.monotonic() >= ends:  # what was cut off may look whole
        raise explained(TimeoutError(), late=True, timeout=patience)
    if response.status == 400 and _wants_tls(url, connect):  # noqa: PLR2004 - HTTP's Bad Request
        raise PollError("speaks_tls", _SPEAKS_TLS)
    return response


def address(url: str) -> tuple[str, int]:
    """Host and port."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def explained(error: Exception, *, late: bool, timeout: float) -> PollError:
    """Whatever went wrong, as a kind and a sentence."""
    if isinstance(error, PollError):
        return error
    if late or isinstance(error, TimeoutError):
        return PollError("timeout", f"no whole answer within {timeout:g} s")
    if isinstance(error, ssl.SSLError):
        if error.reason in _PLAIN:
            return PollError("no_tls", "speaks no TLS, and was asked by TLS")
        return PollError("tls", getattr(error, "verify_message", None) or error.reason or "the handshake failed")
    if isinstance(error, HTTPException | ConnectionResetError | BrokenPipeError):
        return PollError("http", getattr(error, "strerror", None) or type(error).__name__)
    return no_connection(error)


def no_connection(error: Exception) -> PollError:
    """Why no connection came about."""
    kind = "unreachable"
    if isinstance(error, ConnectionRefusedError):
        kind = "refused"
    elif isinstance(error, socket.gaierror):
        kind = "name"
    return PollError(kind, getattr(error, "strerror", None) or type(error).__name__)


def _connect(url: str, poll: Poll, timeout: float) -> socket.socket:
    """Open a connection; the TLS handshake is still to come."""
    host, port = address(url)
    try:
        sock = socket.create_connection((host, port), timeout)
    except TimeoutError as error:
        raise PollError("unreachable", f"no connection within {timeout:g} s") from error
    if not url.startswith("https:"):
        return sock
    try:
        name = poll.server_name or host
        return _context(poll).wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False)
    except BaseException:
        sock.close()
        raise


def _talk(sock: socket.socket, url: str, headers: Mapping[str, str], limit: int) -> Response:
    if isinstance(sock, ssl.SSLSocket):
        sock.do_handshake()
    connection = HTTPConnection(*address(url))
    connection.sock = sock
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection.request("GET", target, headers={"accept": "application/json", "connection": "close", **headers})
    with connection.getresponse() as response:
        return Response(response.status, response.read(limit + 1))


def _wants_tls(url: str, timeout: float) -> bool:
    """Whether a TLS handshake works where plain HTTP didn't; nothing is sent."""
    if url.startswith("https:"):
        return False
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        contextlib.suppress(OSError),
        socket.create_connection(address(url), timeout) as sock,
        context.wrap_socket(sock, server_hostname=address(url)[0]),
    ):
        return True
    return False


def _context(poll: Poll) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=poll.ca_file)
    except OSError as error:
        raise PollError("tls", f"{poll.ca_file} is no readable PEM file of certificates") from error
    if not poll.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _cut(sock: socket.socket) -> None:
    """Wake whoever reads from the socket; closing it would not."""
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)  # not SSLSocket's, which pulls the TLS state from under a read
    except OSError:
        return  # it is closed already
