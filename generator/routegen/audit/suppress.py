"""Suppression: findings that the owner of a manifest accepts, with a reason, by annotation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from routegen.audit.engine import Engine
from routegen.audit.facts import Fact
from routegen.audit.findings import Finding
from routegen.audit.reading import mapping

PREFIX = "ignore.routegen/"
"""``ignore.routegen/FAIR071: why`` in the metadata of the workload."""


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A finding that doesn't count, and why."""

    finding: Finding
    reason: str


def silenced(engine: Engine) -> Iterator[tuple[str, str, Fact]]:
    """Each suppression of a workload: the rule's id, the reason (may be empty), where it stands."""
    for key, value in mapping(engine.manifest.get("metadata", "annotations")).items():
        if key.startswith(PREFIX):
            reason = " ".join(str(value or "").split())
            place = engine.manifest.place("metadata", "annotations", key)
            yield key.removeprefix(PREFIX), reason, Fact("set", reason or None, place)


def reason(finding: Finding, engines: tuple[Engine, ...]) -> str | None:
    """Why a finding doesn't count: the first reason that one of the workloads it speaks of gives."""
    objects = {fact.place.object for fact in finding.facts}
    for engine in engines:
        if engine.manifest.title not in objects:
            continue
        for id_, why, _ in silenced(engine):
            if id_ == finding.rule.id and why:
                return why
    return None
