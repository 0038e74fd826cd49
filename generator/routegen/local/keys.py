"""Engines' keys on this machine: whether those that routes.yaml promises are here."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from routegen.emit.router_config import key_of
from routegen.plan import Backend, Plan
from routegen_router import keys


def missing_key(backend: Backend) -> str | None:
    """Why the router, which runs with our variables and files, can't read the backend's key; ``None``: it can.

    A Secret isn't read here, so none is missed.
    """
    key = key_of(backend)
    if key is None:
        return None
    try:
        keys.read(key)
    except keys.KeyUnreadableError as error:
        return str(error)
    return None


def without_missing_keys(plan: Plan, given: Collection[str]) -> Plan:
    """The plan without the keys that aren't here and aren't wanted: a mock engine asks for none.

    :param given: the backends that have an engine of their own.
    """
    backends = tuple(
        replace(backend, api_key=None) if backend.name not in given and missing_key(backend) else backend
        for backend in plan.backends
    )
    return replace(plan, backends=backends)
