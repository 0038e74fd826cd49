"""What of a cluster can be a backend: LLMInferenceServices, InferencePools, and Services in front of engines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from .owners import Ask, DisagreementError, Owner, owner_of
from .pickers import of_same_pods, pool_selector, target_ports
from .ports import EnginePort, engine_port
from .things import LLM, POOL, SERVICE, Found, Thing, one_line

KSERVE_PORT = 8000
"""The pods' port of every LLMInferenceService."""

AskAt = Callable[[Thing, int, str], Sequence[str]]
"""Asks a pod, at a port and by a scheme, for the owners in its list of models."""


@dataclass(frozen=True)
class Candidate:
    """One object that can be a backend."""

    thing: Thing
    owner: Owner
    pods: tuple[Thing, ...]
    port: EnginePort | None = None
    """A Service's."""
    notes: tuple[str, ...] = ()
    """What else is to be known, as comments."""


@dataclass
class Candidates:
    """All of them, the oldest first, and what became of others."""

    taken: list[Candidate] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    """Objects that could have been meant, and why they are not there."""
    problems: list[str] = field(default_factory=list)
    """What somebody has to change."""


def candidates(found: Found, label: str, ask: AskAt | None) -> Candidates:
    """Choose the backends.

    :param label: the key of the label that names owners.
    :param ask: how pods are asked for their models, where that is wanted.
    """
    made = Candidates()
    for thing in found.of(LLM):
        if found.is_chosen(thing):
            _take(made, found, thing, label, ask)
    for pool in found.of(POOL):
        if found.is_chosen(pool) and not pool.is_made_by(LLM):
            _take(made, found, pool, label, ask)
    covered = {pod.place for one in made.taken for pod in one.pods}
    for service in _services(found):
        _service(made, found, service, covered, label, ask)
    made.taken.sort(key=lambda one: (one.thing.created, one.thing.place, one.thing.kind))
    return made


def pods_of(found: Found, thing: Thing) -> list[Thing]:
    """The pods behind an object."""
    if thing.kind == LLM:  # KServe's labels
        own = {"app.kubernetes.io/name": thing.name, "app.kubernetes.io/part-of": "llminferenceservice"}
        return found.pods(thing.namespace, own | {"kserve.io/component": "workload"})
    if thing.kind == POOL:
        return found.pods(thing.namespace, pool_selector(thing))
    return found.pods(thing.namespace, thing.spec.get("selector") or {})


def workload_service(found: Found, llm: Thing) -> Thing | None:
    """The Service that KServe makes for an LLMInferenceService, if it is there."""
    for service in found.of(SERVICE):
        owners = service.document["metadata"].get("ownerReferences") or ()
        mine = any(one.get("kind") == LLM and one.get("name") == llm.name for one in owners)
        if service.namespace == llm.namespace and mine and service.name.endswith("-kserve-workload-svc"):
            return service
    return None


def _take(made: Candidates, found: Found, thing: Thing, label: str, ask: AskAt | None) -> None:
    pods = pods_of(found, thing)
    try:
        owner = owner_of(thing, pods, label, _asking(thing, found, pods, ask))
    except DisagreementError as error:
        made.problems.append(str(error))
        return
    port = engine_port(service, pods) if thing.kind == LLM and (service := workload_service(found, thing)) else None
    notes = _about_llm(thing, found) if thing.kind == LLM else ()
    made.taken.append(Candidate(thing, owner, tuple(pods), port, tuple(notes)))


def _service(made: Candidates, found: Found, service: Thing, covered: set[str], label: str, ask: AskAt | None) -> None:
    """A Service is an engine's where it, or its pods, have an owner; or where the user says so by a selector."""
    pods = pods_of(found, service)
    named = found.chosen is not None
    try:
        owner = owner_of(service, pods, label, _asking(service, found, pods, ask) if named else None)
    except DisagreementError as error:
        (made.problems if named else made.left_out).append(str(error))
        return
    if owner.name is None and not named:
        return
    port = engine_port(service, pods)
    if pods and {pod.place for pod in pods} <= covered:
        made.left_out.append(f"{service}: its pods are those of a backend above")
    elif port is None:
        made.left_out.append(f"{service}: it has no port for TCP")
    elif twin := _twin(made, service):
        made.left_out.append(f"{service}: it selects the same pods as {twin}")
    else:
        notes = [f"its ports are {port.number}, {', '.join(map(str, port.others))}; the first was taken"]
        made.taken.append(Candidate(service, owner, tuple(pods), port, tuple(notes if port.others else ())))


def _services(found: Found) -> Iterator[Thing]:
    """Services that could be an engine's; those with an address of their own before headless ones."""
    pickers = {(pool.namespace, (pool.spec.get("endpointPickerRef") or {}).get("name")) for pool in found.of(POOL)}
    pools = [pool for pool in found.of(POOL) if found.is_chosen(pool)]
    for service in sorted(found.of(SERVICE), key=lambda one: one.spec.get("clusterIP") == "None"):
        made_by_kserve = service.is_made_by(LLM) or service.is_made_by(POOL)
        for_pods = any(service in (of_same_pods(pool, found, headless=way) for way in (True, False)) for pool in pools)
        if (service.namespace, service.name) in pickers or made_by_kserve or for_pods:
            continue
        if found.is_chosen(service) and service.spec.get("selector"):
            yield service


def _twin(made: Candidates, service: Thing) -> Thing | None:
    for one in made.taken:
        same_place = one.thing.kind == SERVICE and one.thing.namespace == service.namespace
        if same_place and one.thing.spec.get("selector") == service.spec.get("selector"):
            return one.thing
    return None


def _about_llm(llm: Thing, found: Found) -> Iterator[str]:
    model = (llm.spec.get("model") or {}).get("name")
    if model:
        yield f"model {one_line(str(model))}"
    ready = llm.condition("Ready")
    if ready is not None and ready.get("status") != "True":
        yield f"not ready: {one_line(str(ready.get('reason') or 'no reason given'))}"
    for pool in found.of(POOL):
        owners = pool.document["metadata"].get("ownerReferences") or ()
        if any(one.get("kind") == LLM and one.get("name") == llm.name for one in owners):
            yield f"its InferencePool {pool.place} and picker are not used: requests go to its Service"


def _asking(thing: Thing, found: Found, pods: Sequence[Thing], ask: AskAt | None) -> Ask | None:
    if ask is None:
        return None
    port, scheme = KSERVE_PORT, "http"
    if thing.kind == POOL:
        port = next(iter(target_ports(thing)), KSERVE_PORT)
    else:
        service = thing if thing.kind == SERVICE else workload_service(found, thing)
        if service is not None and (known := engine_port(service, pods)) is not None:
            port, scheme = known.target, "https" if known.tls else "http"
    return lambda pod: ask(pod, port, scheme)
