"""How long engines may take until their answer begins."""

from __future__ import annotations

from typing import Final

from routegen.common.positions import Path
from routegen.compile.names import Findings
from routegen.compile.units import seconds
from routegen.spec.backends import BackendSpec
from routegen.spec.models import Spec
from routegen.spec.timeouts import TimeoutsSpec
from routegen.targets import Target

_LONGEST: Final = 3600.0
"""Seconds of silence after which every target gives up."""


def check_timeouts(spec: Spec, target: Target, findings: Findings, *, deployed: bool) -> None:
    """Find times that are none, and what the target can't hold engines to."""
    can = target.capabilities.first_byte
    places: list[tuple[Path, TimeoutsSpec]] = [(("spec", "timeouts"), spec.timeouts)]
    places += [(("spec", "backends", name, "timeouts"), entry.timeouts) for name, entry in spec.backends.items()]
    for path, timeouts in places:
        if timeouts.first_byte is None:
            continue
        where: Path = (*path, "firstByte")
        if not 0 < seconds(timeouts.first_byte) <= _LONGEST:
            findings.add(where, "must be more than nothing and at most 1h")
        if deployed and can == "none":
            findings.add(where, f"the target {target.name} can't end a request whose answer doesn't begin; remove it")
        elif deployed and can == "file" and "backends" in path:
            findings.add(where, f"the target {target.name} has one such time for all backends; set spec.timeouts")
        if spec.failover.reset:
            findings.add(where, "a request that it ends would be sent on: failover.reset does so; remove one of them")


def first_byte(entry: BackendSpec, spec: Spec) -> float | None:
    """The backend's own time, or the file's, in seconds."""
    given = entry.timeouts.first_byte or spec.timeouts.first_byte
    return seconds(given) if given is not None else None
