"""One question to one engine: ``GET /v1/models``, read strictly and within a deadline."""

from __future__ import annotations

import socket
import ssl
import time
from http.client import HTTPConnection, HTTPException
from threading import Timer
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec

from .config import Key, Poll
from .keys import KeyUnreadableError, bearer, read
from .models import Answer

MAX_BYTES: Final = 4 * 1024 * 1024
"""A longer list of models is refused."""
MAX_MODELS: Final = 10_000
"""So is one with more entries: looking through them holds up decisions."""
MAX_ID: Final = 1024
"""And one with a longer id: ids stand in error messages."""
MAX_CREATED: Final = 1 << 53
"""A later time than this (in Unix seconds) is none; larger integers aren't the same in every JSON reader."""


KINDS: Final = {
    "timeout": "no whole answer in time",
    "connect": "no connection",
    "tls": "no TLS",
    "http": "its answer is not HTTP",
    "redirect": "it answers with a redirect",
    "status": "it answers with an error",
    "key": "its key can't be read",
    "too_large": "its list of models is too long",
    "not_a_list": "its answer is not a list of models",
}
"""Kinds of failed polls, as ``/registry`` names them -> what people are told."""


class PollError(Exception):
    """An engine gave no usable answer."""

    def __init__(self, kind: str, detail: str) -> None:
        self.kind = kind
        """One of :data:`KINDS`."""
        super().__init__(detail)


class _Entry(msgspec.Struct):
    id: Annotated[str, msgspec.Meta(max_length=MAX_ID)]
    created: object = None
    owned_by: object = None


class _List(msgspec.Struct):
    """OpenAI's list of models, as far as it is read."""

    data: Annotated[list[_Entry], msgspec.Meta(max_length=MAX_MODELS)]


_decode_list: Final = msgspec.json.Decoder(_List).decode
"""Made once: msgspec finds out about a type when it first meets it, and threads that do so at once end the process."""


def ask(poll: Poll, timeout: float, key: Key | None = None) -> Answer:
    """Ask one engine; blocks for at most ``timeout`` seconds, apart from the resolution of a DNS name.

    Redirects are not followed: an engine's own list is wanted, not what a gateway in between makes of it.

    :raises PollError: no good answer came in time.
    """
    ends = time.monotonic() + timeout
    try:
        with _connect(poll, timeout) as sock:
            # A socket's own timeout starts anew with each byte: an engine that drips could hold a thread for hours.
            timer = Timer(max(ends - time.monotonic(), 0), _cut, [sock])
            timer.daemon = True
            timer.start()
            try:
                return _talk(sock, poll, key)
            finally:
                timer.cancel()
    except Exception as error:  # whatever an engine says, polling must go on; a depth bomb is a RecursionError
        raise _explained(error, late=time.monotonic() >= ends, timeout=timeout) from error


def _connect(poll: Poll, timeout: float) -> socket.socket:
    """Open a connection; the TLS handshake is still to come."""
    host, port = _address(poll.url)
    sock = socket.create_connection((host, port), timeout)
    if not poll.url.startswith("https:"):
        return sock
    try:
        name = poll.server_name or host
        return _context(poll).wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False)
    except BaseException:
        sock.close()
        raise


def _talk(sock: socket.socket, poll: Poll, key: Key | None) -> Answer:
    if isinstance(sock, ssl.SSLSocket):
        sock.do_handshake()
    connection = HTTPConnection(*_address(poll.url))
    connection.sock = sock
    url = urlsplit(poll.url)
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    shown = {} if key is None else {"authorization": bearer(read(key))}
    connection.request("GET", target, headers={"accept": "application/json", "connection": "close", **shown})
    with connection.getresponse() as response:
        if response.status != 200:  # noqa: PLR2004 - HTTP's OK
            kind = "redirect" if 300 <= response.status < 400 else "status"  # noqa: PLR2004 - HTTP's redirections
            raise PollError(kind, f"answered {response.status}, not 200")
        body = response.read(MAX_BYTES + 1)
    if len(body) > MAX_BYTES:
        raise PollError("too_large", f"the list of models is longer than {MAX_BYTES} bytes")
    return read_list(body)


def read_list(body: bytes) -> Answer:
    """Read an engine's list of models.

    :raises msgspec.MsgspecError: it is none.
    """
    entries = _decode_list(body).data
    owner = entries[0].owned_by if entries else None
    created = {entry.id: _created(entry) for entry in entries}
    return Answer(created, owner if isinstance(owner, str) and 0 < len(owner) <= MAX_ID else None, time.time())


def _created(entry: _Entry) -> int:
    """When the model was made, in Unix seconds; 0 where the engine tells no time."""
    told = entry.created
    return int(told) if isinstance(told, int | float) and 0 <= told <= MAX_CREATED else 0


def _explained(error: Exception, *, late: bool, timeout: float) -> PollError:
    """Whatever went wrong, as a kind and a sentence."""
    if late or isinstance(error, TimeoutError):
        return PollError("timeout", f"no whole answer within {timeout:g} s")
    if isinstance(error, PollError):
        return error
    if isinstance(error, KeyUnreadableError):
        return PollError("key", str(error))
    if isinstance(error, msgspec.MsgspecError | UnicodeDecodeError | RecursionError):
        return PollError("not_a_list", f"the answer is not OpenAI's list of models: {error}")
    if isinstance(error, ssl.SSLError):
        return PollError("tls", getattr(error, "verify_message", None) or error.reason or "the handshake failed")
    kind = "http" if isinstance(error, HTTPException | ConnectionResetError | BrokenPipeError) else "connect"
    return PollError(kind, getattr(error, "strerror", None) or type(error).__name__)


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


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
