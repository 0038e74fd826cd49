"""Copies of requests: which engine may get another's."""

from __future__ import annotations

from typing import Final

from routegen.common.positions import Path
from routegen.compile.bodies import same_body
from routegen.compile.names import Findings
from routegen.compile.seconds import may_serve_alike
from routegen.compile.units import seconds
from routegen.plan import Backend, Mirror, Plan, PoolRef
from routegen.spec.backends import BackendSpec
from routegen.targets import Target

_LONGEST: Final = 86400.0
"""Seconds."""


def compile_mirror(entry: BackendSpec) -> Mirror | None:
    """Where copies of its requests go, if any."""
    given = entry.mirror
    if given is None:
        return None
    return Mirror(given.to, given.percent, given.at_once, seconds(given.timeout))


def check_mirrors(plan: Plan, target: Target, findings: Findings, *, deployed: bool) -> None:
    """Find copies that the target can't make, or whose receiver couldn't take them as they are."""
    known = {backend.name: backend for backend in plan.backends}
    for backend in plan.backends:
        if backend.mirror is None:
            continue
        path: Path = ("spec", "backends", backend.name, "mirror")
        if deployed and not target.capabilities.mirrors:
            findings.add(path, f"the target {target.name} {target.capabilities.no_mirrors}")
        if not 0 < backend.mirror.timeout <= _LONGEST:
            findings.add((*path, "timeout"), "must be more than nothing and at most 24h")
        findings.one_backend((*path, "to"), backend.mirror.to)
        other = known.get(backend.mirror.to)
        if other is not None and (why := _unfit(backend, other)):
            findings.add((*path, "to"), why)


def _unfit(backend: Backend, other: Backend) -> str | None:
    """Why ``other`` can't have copies of what goes to ``backend``; ``None``: it can."""
    if other is backend:
        return "is this backend itself; name another one"
    for one in (backend, other):
        if isinstance(one.reach, PoolRef):
            return f"{one.name} is an InferencePool, and no picker is asked where a copy goes; use service or endpoints"
    if other.api_key is not None:
        return f"{other.name} wants a key, and copies carry no credential; let it take copies without one"
    if not same_body(backend, other):
        return (
            f"{other.name} needs other bodies than {backend.name} (models with other names, stripRoutingFields),"
            " and a copy is what the first one gets"
        )
    if not may_serve_alike(backend, other):
        return f"{other.name} serves none of the models of {backend.name}"
    return None
