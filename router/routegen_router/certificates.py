"""The router's TLS: its certificate, and the authority whose certificates it takes from gateways.

Both sides show one. The files are read again for each new connection, so a renewed certificate is used from the next
connection on; one that can't be used is told, and the last good one stays in use.
"""

from __future__ import annotations

import logging
import ssl
from pathlib import Path
from typing import Final

from .config import Tls
from .transport import Pem

UNUSABLE: Final = "a renewed certificate can't be used; the last good one stays in use"

_log = logging.getLogger("routegen.config")


class UnusableError(Exception):
    """The files can't be used; the text names them and holds nothing of what is in them."""


class Certificates:
    """Called from whichever thread shakes hands."""

    def __init__(self, files: Tls) -> None:
        """Read the files.

        :raises UnusableError: they can't be used.
        """
        self._files = files
        self.current = read(files)
        self._problem: str | None = None

    def renewed(self) -> Pem | None:
        """What the files hold where that is new and can be used."""
        try:
            found = read(self._files)
        except UnusableError as error:
            if str(error) != self._problem:  # not for each connection
                _log.error(UNUSABLE, extra={"fields": {"problem": str(error)}})
            self._problem = str(error)
            return None
        self._problem = None
        if found == self.current:
            return None
        self.current = found
        _log.info("a certificate has changed")
        return found


def read(files: Tls) -> Pem:
    """What the files hold.

    :raises UnusableError: they can't be read, don't belong together, or change while they are read.
    """
    before = _bytes(files)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(files.cert_file, files.key_file, password=_no_passphrase)
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or "a passphrase?"
        raise UnusableError(
            f"{files.cert_file} and {files.key_file} are no certificate with its key ({reason})"
        ) from None
    try:
        context.load_verify_locations(files.ca_file)
    except ssl.SSLError:
        raise UnusableError(f"{files.ca_file} holds no certificate of an authority") from None
    if _bytes(files) != before:
        raise UnusableError("the files changed while they were read")
    return before


def _bytes(files: Tls) -> Pem:
    try:
        return Pem(*(Path(file).read_bytes() for file in (files.cert_file, files.key_file, files.ca_file)))
    except OSError as error:
        raise UnusableError(f"{error.filename} can't be read: {error.strerror}") from None


def _no_passphrase() -> str:
    """Without this the terminal would be asked for one."""
    return ""
