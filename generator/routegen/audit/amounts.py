"""How much CPU and memory an engine gets, by its manifest."""

from __future__ import annotations

from typing import Literal

from routegen.audit.engine import Engine, preset_fact
from routegen.audit.facts import Fact
from routegen.audit.quantities import quantity
from routegen.audit.reading import items, mapping

Section = Literal["requests", "limits"]


def amount(engine: Engine, section: Section, name: str) -> Fact:
    """A request or limit as a number; a request that is not written is the limit (Kubernetes' own default)."""
    written = engine.fact("resources", section, name)
    if written.value is None and section == "requests":
        limit = amount(engine, "limits", name)
        return (
            Fact(limit.state, limit.value, written.place, "the limit", text=limit.text)
            if limit.value is not None
            else written
        )
    if written.value is None:
        return written
    number = quantity(written.value)
    if number is None:
        return Fact("unknown", None, written.place, f'"{written.value}" is not a quantity')
    return Fact(written.state, number, written.place, text=str(written.value))


def qos(engine: Engine) -> Fact:
    """The pod's quality-of-service class, by its containers' CPU and memory."""
    pairs = []
    containers = [*items(engine.pod_get("containers")), *items(engine.pod_get("initContainers"))]
    for container in containers:
        resources = mapping(mapping(container).get("resources"))
        limits, requests = mapping(resources.get("limits")), mapping(resources.get("requests"))
        for name in ("cpu", "memory"):
            limit, request = quantity(limits.get(name)), quantity(requests.get(name))
            pairs.append((limit, limit if request is None else request))
    place = engine.place("resources")
    if all(limit is not None and limit == request for limit, request in pairs):
        return Fact("set", "Guaranteed", place)
    if all(limit is None and request is None for limit, request in pairs):
        return Fact("set", "BestEffort", place)
    return Fact("set", "Burstable", place)


def shm(engine: Engine) -> Fact:
    """The size limit of the memory volume at ``/dev/shm``; ``None`` where none is mounted."""
    for index, entry in enumerate(items(engine.get("volumeMounts"))):
        if str(mapping(entry).get("mountPath", "")).rstrip("/") != "/dev/shm":  # noqa: S108 - a mount path in a pod
            continue
        name = mapping(entry).get("name")
        for position, volume in enumerate(items(engine.pod_get("volumes"))):
            if mapping(volume).get("name") == name:
                limit = engine.pod_fact("volumes", position, "emptyDir", "sizeLimit")
                size = "unlimited" if limit.value is None else quantity(limit.value)
                return Fact("set", size, limit.place, text=str(limit.value or size))
        return Fact("set", "another volume", engine.place("volumeMounts", index))
    place = engine.place("volumeMounts")
    return preset_fact(place) if engine.preset else Fact("default", None, place)
