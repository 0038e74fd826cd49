"""Engines' API keys: read from a file or an environment variable, never from the configuration, and never told.

A key is used to ask an engine for its models. Where the backend says so (``send``) it also goes on every request that
is decided for the engine, as ``authorization: Bearer …`` (RFC 6750, section 2.1), in place of the client's own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from errno import EFBIG, EINVAL
from pathlib import Path
from stat import S_ISREG
from typing import Final

from .backend import Backend, Key

MAX_BYTES: Final = 16 * 1024
"""A longer file holds no key."""
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")
"""What may stand in a header without a second meaning: visible ASCII, no space (RFC 9110, section 5.5)."""


class KeyUnreadableError(Exception):
    """A key can't be had; the text says where it was looked for and never holds a part of it."""


def read(key: Key, environment: Mapping[str, str] = os.environ) -> str:
    """The key itself, without the white space around it. Blocks for as long as a small file takes.

    :param environment: where to look a variable up.
    :raises KeyUnreadableError: it isn't there, or is nothing that a header may hold.
    """
    where = f"the file {key.file}" if key.file is not None else f"the environment variable {key.env}"
    try:
        text = _file(Path(key.file)) if key.file is not None else environment.get(key.env or "")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not text"
        raise KeyUnreadableError(f"{where} can't be read: {reason}") from None
    text = (text or "").strip()
    if not text:
        raise KeyUnreadableError(f"{where} is empty or not there")
    if not _TOKEN.fullmatch(text):
        raise KeyUnreadableError(f"{where} holds more than a key: white space, or something other than ASCII")
    return text


def bearer(key: str) -> str:
    """The value of ``authorization`` that shows ``key``."""
    return f"Bearer {key}"


def authorizations(backends: Iterable[Backend]) -> tuple[dict[str, str], list[str]]:
    """What requests to each backend carry: its name -> ``authorization``, for those whose key is sent.

    Reads the keys of the others too, so that one which is missing is noticed when a configuration is loaded.

    :returns: what was found, and a sentence for each key that can't be had.
    """
    found, problems = {}, []
    for backend in backends:
        if backend.key is None:
            continue
        try:
            key = read(backend.key)
        except KeyUnreadableError as error:
            problems.append(f"the key of backend {backend.name!r}: {error}")
            continue
        if backend.key.send:
            found[backend.name] = bearer(key)
    return found, problems


def _file(path: Path) -> str:
    # Without waiting for whoever writes into a pipe: the router looks at keys between decisions.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    try:
        if not S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(EINVAL, "It is no regular file")
        data = os.read(descriptor, MAX_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(data) > MAX_BYTES:
        raise OSError(EFBIG, f"It is longer than {MAX_BYTES // 1024} KiB, which no key is")
    return data.decode()
