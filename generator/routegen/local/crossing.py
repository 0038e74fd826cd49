"""What Envoy has while one plan gives way to another: all that either needs, and no way for a key to a stranger."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from routegen.plan import Addresses, Backend, Plan

NOWHERE: Final = Addresses(())


def crossing(old: Plan, new: Plan) -> Plan:
    """The new plan with the old one's backends and second choices: whichever the router decides by, its routes exist.

    A backend that moves *and* gets another key is nowhere meanwhile: the router would show the old engine's key to the
    new one, or the other way round. Its requests are 503 until the router has the new plan.
    """
    before = {backend.name: backend for backend in old.backends}
    staying = tuple(_crossing(before.get(backend.name), backend) for backend in new.backends)
    names = {backend.name for backend in staying}
    return replace(new, backends=staying + tuple(backend for backend in old.backends if backend.name not in names))


def _crossing(old: Backend | None, new: Backend) -> Backend:
    if old is None:
        return new
    seconds = tuple(dict.fromkeys(new.seconds + old.seconds))
    moves = (old.reach, old.tls) != (new.reach, new.tls)
    keys = {key for key in (old.api_key, new.api_key) if key is not None and key.send}
    other = old.api_key != new.api_key and bool(keys)
    return replace(new, seconds=seconds, reach=NOWHERE if moves and other else new.reach)
