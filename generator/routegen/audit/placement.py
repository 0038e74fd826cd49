"""Whether two engines run on one node, as far as manifests tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from routegen.audit.engine import Engine
from routegen.audit.facts import Fact
from routegen.audit.pairs import Pair, selects
from routegen.audit.reading import dig, items, mapping

HOSTNAME = "kubernetes.io/hostname"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


@dataclass(frozen=True)
class Placement:
    """Where two engines run, relative to each other."""

    nodes: Literal["same", "different", "unknown"]
    why: str
    facts: tuple[Fact, Fact]


def placement(pair: Pair) -> Placement:
    """Same node, different nodes, or cannot tell."""
    facts = (node(pair.first), node(pair.second))
    if pair.first.manifest is pair.second.manifest:
        return Placement("same", "they are containers of one pod", facts)
    if all(fact.value is not None for fact in facts):
        if facts[0].value == facts[1].value:
            return Placement("same", f"both are held to the node {facts[0].value}", facts)
        return Placement("different", "they are held to different nodes", facts)
    for engine, other in pair.each():
        if _bound(engine, other, "podAffinity"):
            return Placement("same", f"pod affinity holds {engine.name} to the node of {other.name}", facts)
        if _bound(engine, other, "podAntiAffinity"):
            return Placement("different", f"pod anti-affinity keeps {engine.name} off the node of {other.name}", facts)
    running = [_running_on(pair, engine) for engine, _ in pair.each()]
    if all(len(names) == 1 for names in running):
        names = [min(own) for own in running]
        if names[0] == names[1]:
            return Placement("same", f"the pods of both run on the node {names[0]} now", facts)
        return Placement("different", f"their pods run on the nodes {names[0]} and {names[1]} now", facts)
    nodes = [manifest.name for manifest in pair.of_kind("Node")]
    if len(nodes) == 1:
        return Placement("same", f"the cluster has one node, {nodes[0]}", facts)
    return Placement("unknown", "nothing holds them to one node", facts)


def _running_on(pair: Pair, engine: Engine) -> set[str]:
    """The nodes of the workload's pods, where those are in the input (they are in a live cluster's)."""
    return {
        str(pod.get("spec", "nodeName"))
        for pod in pair.of_kind("Pod")
        if pod.get("metadata", "ownerReferences")
        and pod.get("spec", "nodeName")
        and pod.namespace == engine.manifest.namespace
        and selects(engine.labels, pod.get("metadata", "labels"))
    }


def node(engine: Engine) -> Fact:
    """The node that an engine is held to by name; ``None`` where there is no such."""
    name = engine.pod_fact("nodeName")
    if name.value:
        return name
    selected = engine.pod_fact("nodeSelector", HOSTNAME)
    if selected.value:
        return selected
    for path, expression in _node_expressions(engine):
        if expression.get("key") == HOSTNAME and expression.get("operator") == "In":
            values = items(expression.get("values"))
            if len(values) == 1:
                return Fact("set", values[0], engine.manifest.place(*engine.pod, *path))
    return Fact("default", None, engine.manifest.place(*engine.pod, "nodeSelector"))


def required_labels(engine: Engine) -> dict[str, Fact]:
    """The node labels that an engine requires: ``nodeSelector`` and required node affinity, each as one text."""
    found = {str(key): engine.pod_fact("nodeSelector", str(key)) for key in mapping(engine.pod_get("nodeSelector"))}
    for path, expression in _node_expressions(engine):
        values = sorted(map(str, items(expression.get("values"))))
        place = engine.manifest.place(*engine.pod, *path)
        text = (
            values[0]
            if expression.get("operator") == "In" and len(values) == 1
            else (f"{expression.get('operator')} {', '.join(values)}".strip())
        )
        found.setdefault(str(expression.get("key")), Fact("set", text, place))
    return found


def anti_affine(engine: Engine, other: Engine) -> Fact | None:
    """The required anti-affinity that keeps ``engine`` off ``other``'s node."""
    return _bound(engine, other, "podAntiAffinity")


def _bound(engine: Engine, other: Engine, kind: str) -> Fact | None:
    path = ("affinity", kind, _REQUIRED)
    for index, term in enumerate(items(engine.pod_get(*path))):
        same_topology = mapping(term).get("topologyKey") == HOSTNAME
        if same_topology and selects(mapping(term).get("labelSelector"), other.labels):
            return Fact("set", mapping(term).get("labelSelector"), engine.manifest.place(*engine.pod, *path, index))
    return None


def _node_expressions(engine: Engine) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """The expressions of required node affinity that certainly hold: several terms are alternatives, so none does."""
    path = ("affinity", "nodeAffinity", _REQUIRED, "nodeSelectorTerms")
    terms = items(engine.pod_get(*path))
    if len(terms) != 1:
        return
    for index, expression in enumerate(items(dig(terms[0], ("matchExpressions",)))):
        yield (*path, 0, "matchExpressions", index), mapping(expression)
