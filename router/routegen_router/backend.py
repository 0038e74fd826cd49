"""Backends as the router's configuration says them: where a request can go, and how an engine is asked."""

from __future__ import annotations

import msgspec


class Poll(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How to ask one engine which models it serves."""

    urls: tuple[str, ...]
    """The engine's own model list at each of its addresses, such as ``http://10.0.0.7:8000/v1/models``."""
    server_name: str | None = None
    """TLS server name to verify, where it differs from the URL's host."""
    ca_file: str | None = None
    """PEM file of the authorities to trust; ``None`` is the system's."""
    verify: bool = True
    """False accepts any certificate."""


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where an engine's API key is found: exactly one of the first two is set."""

    env: str | None = None
    """An environment variable of the router's process."""
    file: str | None = None
    """A file that holds it and nothing else; read again whenever it changes."""
    send: bool = False
    """Whether requests to the engine carry it too, in place of the client's ``authorization``."""


class Backend(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One place a request can go."""

    name: str
    owner: str | None = None
    """``owned_by``; ``None`` means: whatever the engine's own model list says."""
    models: tuple[str, ...] = ()
    """Models it is known to serve: ids or globs (``llama-8b-*``)."""
    poll: Poll | None = None
    """``None``: the engine is not asked; ``models`` is all there is to know."""
    seconds: tuple[str, ...] = ()
    """The backends that the gateway can change to where this one refuses the connection."""
    renames: tuple[tuple[str, str], ...] = ()
    """A model's name for clients, and its name for this engine, where that is another."""
    strips: tuple[tuple[str, ...], ...] = ()
    """Fields that are taken out of the bodies that go to it."""
    key: Key | None = None
    """Shown when the engine is asked; ``None``: it wants none."""
