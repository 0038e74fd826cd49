"""Ports and Services: what an engine listens on, and what leads to it."""

from __future__ import annotations

from collections.abc import Iterator

from routegen.audit.engine import Engine
from routegen.audit.facts import Fact
from routegen.audit.pairs import Pair, selects
from routegen.audit.reading import Manifest, items, mapping


def engine_port(engine: Engine) -> Fact:
    """The port that the engine listens on."""
    return engine.option("port")


def port_number(engine: Engine, port: object) -> int | None:
    """A port given by number or by the name of a container port; ``None`` where it names nothing."""
    if isinstance(port, int):
        return port
    if isinstance(port, str) and port.isdecimal():
        return int(port)
    for entry in items(engine.get("ports")):
        if mapping(entry).get("name") == port and isinstance(mapping(entry).get("containerPort"), int):
            return int(mapping(entry)["containerPort"])
    return None


def services(pair: Pair, engine: Engine, kind: str = "Service") -> Iterator[Manifest]:
    """The Services (or InferencePools) whose selector picks the engine's pods."""
    for manifest in pair.of_kind(kind):
        same_space = manifest.namespace in {engine.manifest.namespace, ""} or not engine.manifest.namespace
        if same_space and selects(manifest.get("spec", "selector"), engine.labels):
            yield manifest
