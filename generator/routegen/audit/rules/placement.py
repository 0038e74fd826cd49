"""Placement: whether both engines run on the same hardware."""

from __future__ import annotations

from collections.abc import Iterator

from routegen.audit.facts import Fact
from routegen.audit.findings import Hit, Severity, rule
from routegen.audit.pairs import Pair
from routegen.audit.placement import HOSTNAME, anti_affine, placement, required_labels
from routegen.audit.reading import items
from routegen.audit.rules.checks import unequal

_HARDWARE = ("gpu", "nvidia", "amd.", "instance-type", "machine", "accelerator")
"""Words in the names of node labels that are about hardware."""
_SAME_NODE = (
    "# in both pods, which then find each other whatever the node's name:\n"
    "labels: {comparison: engines}\n"
    "affinity:\n"
    "  podAffinity:\n"
    "    requiredDuringSchedulingIgnoredDuringExecution:\n"
    "      - {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {comparison: engines}}}"
)
_SAME_KIND = (
    "# engines over several nodes can't share one: hold both to one kind, and measure one after the other\n"
    "nodeSelector: {nvidia.com/gpu.product: <product>}"
)


@rule(
    "FAIR030",
    "placement",
    Severity.WARNING,
    title="The engines are not held to one node",
    why="Nodes of one type still differ in clocks, cooling and neighbours by more than engines do.",
)
def one_node(pair: Pair) -> Iterator[Hit]:
    """Nothing proves that both pods run on the same node, or they are held to different ones.

    Proof is: the same `nodeName`, host name in `nodeSelector` or required node affinity; required pod affinity by
    host name from one to the other; the workloads' running Pods (`--cluster` reads them); or an input with a single
    Node. Where a label holds both to one kind of GPU or machine, what is left is information. Different nodes are fine
    where the measuring tool swaps the engines between them.
    """
    where = placement(pair)
    if where.nodes == "different":
        yield Hit(f"the engines run on different nodes: {where.why}", where.facts, _SAME_NODE)
    elif where.nodes == "unknown":
        message = f"cannot tell whether the engines run on one node: {where.why}"
        facts = where.facts
        if kind := _common_hardware(pair):
            message += f", only to one kind ({kind})"
            facts = (_any_node(facts[0], kind), _any_node(facts[1], kind))
        several = any(engine.pods_a_replica > 1 for engine, _ in pair.each())
        yield Hit(message, facts, _SAME_KIND if several else _SAME_NODE, unknown=True)


def _any_node(fact: Fact, kind: str) -> Fact:
    return Fact("unknown", None, fact.place, f"{kind}, any node", token=kind)


def _common_hardware(pair: Pair) -> str:
    """A label about the nodes' hardware that both engines require with one value."""
    first, second = required_labels(pair.first), required_labels(pair.second)
    for name in sorted(first.keys() & second.keys()):
        if any(word in name for word in _HARDWARE) and first[name].value == second[name].value:
            return f"{name}: {first[name].value}"
    return ""


@rule(
    "FAIR031",
    "placement",
    Severity.ERROR,
    title="The engines ask for different kinds of node",
    why="A node label such as the GPU's product chooses the hardware, which is then what differs.",
)
def node_labels(pair: Pair) -> Iterator[Hit]:
    """A node label that both require has different values, or only one engine requires a label about its hardware.

    Labels about hardware: those with `gpu`, `nvidia`, `amd`, `instance-type`, `machine` or `accelerator` in the name.
    """
    first, second = required_labels(pair.first), required_labels(pair.second)
    if placement(pair).nodes == "same":
        return
    for name in sorted((first.keys() | second.keys()) - {HOSTNAME}):
        one, other = first.get(name), second.get(name)
        if (one is None or other is None) and not any(word in name for word in _HARDWARE):
            continue
        empty = pair.first.pod_fact("nodeSelector", name), pair.second.pod_fact("nodeSelector", name)
        facts = (one or empty[0], other or empty[1])
        stated = one or other
        fix = f'nodeSelector: {{{name}: "{stated.value if stated else ""}"}}  # in both'
        yield from unequal(pair, facts, f"the node label {name}", fix)


@rule(
    "FAIR032",
    "placement",
    Severity.ERROR,
    title="The pods are held to one node and kept off each other",
    why="One of the two stays pending, so there is nothing to compare.",
)
def contradiction(pair: Pair) -> Iterator[Hit]:
    """Both are held to one node, and one has required anti-affinity by host name to the other."""
    where = placement(pair)
    if where.nodes != "same":
        return
    for engine, other in pair.each():
        fact = anti_affine(engine, other)
        if fact is not None:
            message = f"{engine.name} may not run beside {other.name}, and {where.why}"
            yield Hit(message, (fact, *where.facts), "# remove the podAntiAffinity")


@rule(
    "FAIR033",
    "placement",
    Severity.INFO,
    title="The pods tolerate different taints",
    why="A toleration opens a node pool to one engine that the other can't reach.",
)
def tolerations(pair: Pair) -> Iterator[Hit]:
    """`tolerations` differ, and nothing else holds both engines to one node. Tolerations for GPUs don't count."""
    if placement(pair).nodes == "same":
        return
    facts = []
    for engine, _ in pair.each():
        found = engine.pod_fact("tolerations")
        texts = sorted(str(entry) for entry in items(found.value) if ".com/gpu" not in str(entry))
        facts.append(Fact(found.state, texts or None, found.place) if found.known else found)
    yield from unequal(pair, (facts[0], facts[1]), "the list of tolerations", "tolerations: []  # the same in both")


@rule(
    "FAIR034",
    "placement",
    Severity.WARNING,
    title="The pods have different priorities",
    why="The pod of higher priority is scheduled first and can push the other one off its node.",
)
def priority(pair: Pair) -> Iterator[Hit]:
    """`priorityClassName` differs."""
    facts = (pair.first.pod_fact("priorityClassName"), pair.second.pod_fact("priorityClassName"))
    fix = f"priorityClassName: {facts[0].value or facts[1].value}  # in both, or in none"
    yield from unequal(pair, facts, "priorityClassName", fix)


@rule(
    "FAIR035",
    "placement",
    Severity.WARNING,
    title="Only one engine is bound to a NUMA node",
    why="Memory on the GPU's own NUMA node is faster to copy from; the engine that is bound there gains.",
)
def numa(pair: Pair) -> Iterator[Hit]:
    """One engine is started through `numactl` or `taskset`, or has SGLang's `--numa-node` or vLLM's `--numa-bind`.

    For both at once use the kubelet's topology manager (`single-numa-node`) instead.
    """
    facts = []
    for engine, _ in pair.each():
        wrapped = [word for word in engine.line.wrapped_by if word.rpartition("/")[2] in {"numactl", "taskset"}]
        told = engine.option("numa")
        facts.append(Fact("set", True, engine.place("command"), wrapped[0]) if wrapped else told)
    if any(fact.known and fact.value for fact in facts):
        fix = "# bind both with numactl, or neither"
        yield from unequal(pair, (facts[0], facts[1]), "binding to a NUMA node", fix)


@rule(
    "FAIR036",
    "placement",
    Severity.WARNING,
    title="The pods run in different container runtimes",
    why="A sandboxed runtime makes system calls and device access slower for one of the two.",
)
def runtime_class(pair: Pair) -> Iterator[Hit]:
    """`runtimeClassName` differs. NVIDIA's classes beside none are no difference: they only make the GPU visible."""
    facts = (pair.first.pod_fact("runtimeClassName"), pair.second.pod_fact("runtimeClassName"))
    if all(fact.known and (fact.value is None or str(fact.value).startswith("nvidia")) for fact in facts):
        return
    fix = f"runtimeClassName: {facts[0].value or facts[1].value}  # in both, or in none"
    yield from unequal(pair, facts, "runtimeClassName", fix)


RULES = (one_node, node_labels, contradiction, tolerations, priority, numa, runtime_class)
