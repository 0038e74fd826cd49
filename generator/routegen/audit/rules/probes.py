"""Probes, loading time, replicas: when an engine takes requests, and how many of it there are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from routegen.audit.engine import KSERVE, Engine
from routegen.audit.facts import Fact
from routegen.audit.findings import Hit, Severity, rule
from routegen.audit.network import engine_port, port_number
from routegen.audit.pairs import Pair
from routegen.audit.reading import mapping
from routegen.audit.rules.checks import in_doubt, unequal

_PROBES = (
    "startupProbe: {httpGet: {path: /health, port: 8000}, periodSeconds: 10, failureThreshold: 60}\n"
    "readinessProbe: {httpGet: {path: /health, port: 8000}, periodSeconds: 5}"
)
_LOADING_SECONDS = 120
"""Loading even a small model and capturing CUDA graphs takes about a minute; large ones take many."""


@rule(
    "FAIR080",
    "probes",
    Severity.WARNING,
    title="An engine has no readiness probe",
    why="Requests reach the engine while it still loads the model, and count as its errors or its slowness.",
)
def no_readiness(pair: Pair) -> Iterator[Hit]:
    """The engine's container has no `readinessProbe`. KServe's preset brings one."""
    for engine, other in pair.each():
        facts = (_probe(engine, "readinessProbe"), _probe(other, "readinessProbe"))
        if facts[0].known and not facts[0].value:
            yield Hit(f"{engine.name} has no readinessProbe", facts, _PROBES)


@rule(
    "FAIR081",
    "probes",
    Severity.WARNING,
    title="The liveness probe may kill an engine that still loads",
    why="An engine that is restarted while loading never gets ready, or only on a warm page cache.",
)
def impatient_liveness(pair: Pair) -> Iterator[Hit]:
    """There is a `livenessProbe`, no `startupProbe`, and less than two minutes until the liveness probe gives up.

    It gives up after `initialDelaySeconds` + `periodSeconds` x `failureThreshold`.
    """
    for engine, other in pair.each():
        live, start = engine.fact("livenessProbe"), engine.fact("startupProbe")
        if not live.known or not live.value or not start.known or start.value:
            continue
        probe = mapping(live.value)
        delay, period, failures = (
            _seconds(probe.get(key), default)
            for key, default in (("initialDelaySeconds", 0), ("periodSeconds", 10), ("failureThreshold", 3))
        )
        patience = delay + period * failures
        if patience < _LOADING_SECONDS:
            facts = (
                Fact("set", f"gives up after {patience} s", live.place),
                _probe(other, "startupProbe"),
            )
            yield Hit(f"{engine.name} is restarted when it isn't up after {patience} s", facts, _PROBES)


@rule(
    "FAIR082",
    "probes",
    Severity.INFO,
    title="The pods get different times to finish",
    why="The pod with less time cuts long answers off when it is replaced, which count as errors.",
)
def grace_period(pair: Pair) -> Iterator[Hit]:
    """`terminationGracePeriodSeconds` differs (Kubernetes' default is 30)."""
    facts = [engine.pod_fact("terminationGracePeriodSeconds", default=30) for engine, _ in pair.each()]
    fix = "terminationGracePeriodSeconds: 120  # in both"
    yield from unequal(pair, (facts[0], facts[1]), "terminationGracePeriodSeconds", fix)


@rule(
    "FAIR083",
    "probes",
    Severity.ERROR,
    title="A probe asks another port than the engine listens on",
    why="The engine never becomes ready, or is restarted again and again.",
)
def probe_port(pair: Pair) -> Iterator[Hit]:
    """The port of an HTTP or TCP probe is not the engine's.

    Pods with several containers are left out: a sidecar may answer.
    """
    for engine, _ in pair.each():
        listens = engine_port(engine)
        if engine.get("readinessProbe"):
            yield from in_doubt(listens, f"whether probes ask the port of {engine.name}", "# write --port out")
        if not listens.known or not engine.alone:
            continue
        for name in ("startupProbe", "readinessProbe", "livenessProbe"):
            for way in ("httpGet", "tcpSocket"):
                fact = engine.fact(name, way, "port")
                number = port_number(engine, fact.value)
                if fact.state == "set" and number is not None and number != listens.value:
                    message = f"{name} of {engine.name} asks port {number}, the engine listens on {listens.value}"
                    yield Hit(message, (fact, listens), f"{name}: {{{way}: {{port: {listens.value}}}}}")


@rule(
    "FAIR084",
    "replicas",
    Severity.ERROR,
    title="The engines have different numbers of replicas",
    why="Two replicas answer twice the load; compare one of each, or the same number.",
)
def replicas_differ(pair: Pair) -> Iterator[Hit]:
    """`spec.replicas` differs; 1 where it is not set, as for a Pod. Workloads that are scaled are FAIR085's.

    The pods of one engine over several nodes (`--nnodes`) count as one.
    """
    if any(_scaler(pair, engine) is not None for engine, _ in pair.each()):
        return
    facts = [_replicas(engine) for engine, _ in pair.each()]
    yield from unequal(pair, (facts[0], facts[1]), "the number of replicas", "replicas: 1  # in both")


@rule(
    "FAIR085",
    "replicas",
    Severity.WARNING,
    title="An engine is scaled automatically",
    why="The number of replicas then changes with the load, in the middle of a measurement.",
)
def autoscaled(pair: Pair) -> Iterator[Hit]:
    """A HorizontalPodAutoscaler, a ScaledObject or an LLMInferenceService's `spec.scaling` changes the replicas.

    Not where minimum and maximum are equal. Autoscalers have to be in the input to be seen.
    """
    for engine, other in pair.each():
        fact = _scaler(pair, engine)
        if fact is not None:
            message = f"{engine.name} is scaled: {fact.value}"
            yield Hit(message, (fact, _replicas(other)), "replicas: 1  # and no autoscaler while measuring")


def _scaler(pair: Pair, engine: Engine) -> Fact | None:
    own = engine.manifest.fact("spec", "scaling")
    if engine.manifest.kind == KSERVE and own.value:
        return _range(own, mapping(own.value), "minReplicas", "maxReplicas")
    for scaler in pair.of_kind("HorizontalPodAutoscaler", "ScaledObject"):
        target = mapping(scaler.get("spec", "scaleTargetRef"))
        kind = target.get("kind", "Deployment" if scaler.kind == "ScaledObject" else None)
        same_space = scaler.namespace in {engine.manifest.namespace, ""}
        if target.get("name") == engine.manifest.name and kind == engine.manifest.kind and same_space:
            keys = (
                ("minReplicas", "maxReplicas")
                if scaler.kind == "HorizontalPodAutoscaler"
                else (
                    "minReplicaCount",
                    "maxReplicaCount",
                )
            )
            return _range(scaler.fact("spec"), mapping(scaler.get("spec")), *keys)
    return None


def _range(fact: Fact, scaling: object, low: str, high: str) -> Fact | None:
    least, most = mapping(scaling).get(low, 1), mapping(scaling).get(high)
    return None if least == most else Fact("set", f"{least} to {most} replicas", fact.place)


def _replicas(engine: Engine) -> Fact:
    fact = engine.manifest.fact("spec", "replicas", default=1)
    if engine.manifest.kind == "LeaderWorkerSet" or not isinstance(fact.value, int) or engine.pods_a_replica == 1:
        return fact
    engines = fact.value // engine.pods_a_replica
    return replace(fact, value=engines, note=f"{fact.value} pods, {engine.pods_a_replica} an engine")


def _probe(engine: Engine, name: str) -> Fact:
    """A probe, short enough to print."""
    fact = engine.fact(name)
    return Fact(fact.state, "present", fact.place) if fact.value else fact


def _seconds(value: object, default: int) -> int:
    return value if isinstance(value, int) else default


RULES = (no_readiness, impatient_liveness, grace_period, probe_port, replicas_differ, autoscaled)
