"""Which backends may stand in for which, where a connection is refused: what the gateway gets ready for.

Each pair is a cluster of its own for the gateway, so a backend doesn't get all others, but the next few of those that
an unnamed choice could have taken instead. Which of them a request goes to, if any, the router says each time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import chain, islice
from typing import Final

from routegen.compile.bodies import same_body
from routegen.plan import Backend, Failover, PoolRef
from routegen.spec.models import Spec
from routegen_router.models import is_glob
from routegen_router.rules import Rule, Split

FEW: Final = 32
"""Up to so many backends …"""
MOST: Final = 3
"""… have so many stand-ins each, more have one: configurations grow with the number of backends, not its square."""


def compile_failover(spec: Spec) -> Failover:
    """When requests go to second choices."""
    return Failover(tuple(spec.failover.statuses), spec.failover.reset, spec.failover.enabled)


def with_seconds(backends: Sequence[Backend], rules: Sequence[Rule]) -> tuple[Backend, ...]:
    """The backends, each with those that may stand in for it, the likeliest first."""
    most = MOST if len(backends) <= FEW else 1
    shared = [_bearing(rule, backends) for rule in rules if isinstance(rule, Split)]
    return tuple(
        replace(backend, seconds=_stand_ins(index, backends, shared, most)) for index, backend in enumerate(backends)
    )


def _stand_ins(index: int, backends: Sequence[Backend], shared: Sequence[frozenset[str]], most: int) -> tuple[str, ...]:
    """Those that share a split with it come first, then the rest; the next in the file's order, around its end."""
    one = backends[index]
    partners = frozenset[str]().union(*(names for names in shared if one.name in names))
    nearest = chain(
        (other for other in _around(backends, index) if other.name in partners),
        (other for other in _around(backends, index) if other.name not in partners),
    )
    able = (other.name for other in nearest if _may_stand_in(one, other))
    return tuple(islice(able, most))


def _around(backends: Sequence[Backend], index: int) -> Iterator[Backend]:
    return chain(islice(backends, index + 1, None), islice(backends, index))


def _may_stand_in(one: Backend, other: Backend) -> bool:
    if _has_picker(other) or not same_body(one, other):
        return False
    return _same_key(one, other) and may_serve_alike(one, other)


def _bearing(rule: Split, backends: Sequence[Backend]) -> frozenset[str]:
    named = {name for name, weight in rule.weights if weight}
    return frozenset(backend.name for backend in backends if {backend.name, backend.owner} & named)


def _same_key(one: Backend, other: Backend) -> bool:
    """A request that carries one engine's key must not reach another; one that carries the client's may."""
    sent = [
        backend.api_key if backend.api_key is not None and backend.api_key.send else None for backend in (one, other)
    ]
    return sent[0] == sent[1]


def _has_picker(backend: Backend) -> bool:
    """What was on its way to another engine doesn't ask the picker, and must not reach its pods without."""
    return isinstance(backend.reach, PoolRef) and backend.reach.picker is not None


def may_serve_alike(one: Backend, other: Backend) -> bool:
    """Whether some model could be on both, as far as the file says."""
    if one.poll_urls or other.poll_urls:
        return True
    return any(_meet(mine, theirs) for mine in one.models for theirs in other.models)


def _meet(one: str, other: str) -> bool:
    if is_glob(one) and is_glob(other):
        return True
    return fnmatchcase(one, other) if is_glob(other) else fnmatchcase(other, one) if is_glob(one) else one == other
