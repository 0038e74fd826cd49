"""CPU and system memory: what each engine may use of its node."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from routegen.audit.amounts import Section, amount, qos, shm
from routegen.audit.findings import Hit, Severity, rule
from routegen.audit.pairs import Pair
from routegen.audit.placement import placement
from routegen.audit.quantities import quantity
from routegen.audit.rules.checks import env_yaml, in_doubt, unequal

_SHM = (
    "volumes: [{{name: shm, emptyDir: {{medium: Memory, sizeLimit: {size}}}}}]\n"
    "volumeMounts: [{{name: shm, mountPath: /dev/shm}}]  # the same in both"
)
_SECTIONS: tuple[Section, ...] = ("requests", "limits")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TOKENIZERS_PARALLELISM", "RAYON_NUM_THREADS")


def _resources(pair: Pair) -> str:
    """The larger of what the engines have, for both; so the fix starves none of them."""
    texts = []
    for name, example in (("cpu", "4"), ("memory", "8Gi")):
        facts = [amount(engine, section, name) for engine, _ in pair.each() for section in _SECTIONS]
        stated = [fact for fact in facts if fact.value is not None]
        most = max(stated, key=lambda fact: fact.value).text if stated else example
        texts.append(f'{name}: "{most}"')
    both = "{" + ", ".join(texts) + "}"
    return f"resources:\n  requests: {both}\n  limits: {both}  # the same in both"


def _missing(pair: Pair, name: str, *, both_sections: bool) -> Iterator[Hit]:
    for engine, other in pair.each():
        own, theirs = ([amount(one, "requests", name), amount(one, "limits", name)] for one in (engine, other))
        lacks = [
            word for word, fact in zip(("request", "limit"), own, strict=True) if fact.known and fact.value is None
        ]
        if lacks and (both_sections or "limit" in lacks):
            index = 1 if "limit" in lacks else 0
            yield Hit(
                f"{engine.name} has no {name} {' and no '.join(lacks)}", (own[index], theirs[index]), _resources(pair)
            )


def _differ(pair: Pair, name: str) -> Iterator[Hit]:
    for section in _SECTIONS:
        facts = (amount(pair.first, section, name), amount(pair.second, section, name))
        if any(fact.value is None and fact.known for fact in facts):
            continue  # the rule for missing ones speaks
        yield from unequal(pair, facts, f"the {name} {section.removesuffix('s')}", _resources(pair))


@rule(
    "FAIR020",
    "cpu and memory",
    Severity.WARNING,
    title="An engine has no CPU request or limit",
    why="An engine without a limit takes the CPU that the other one needs when both are under load.",
)
def cpu_missing(pair: Pair) -> Iterator[Hit]:
    """The engine's container has no CPU request, or no CPU limit.

    Tokenising, scheduling and HTTP are CPU work, for small models a large part of it all. Without a request the
    engine also yields to everything else on the node.
    """
    yield from _missing(pair, "cpu", both_sections=True)


@rule(
    "FAIR021",
    "cpu and memory",
    Severity.ERROR,
    title="The engines have different amounts of CPU",
    why="The engine with more CPU tokenises and schedules faster, which shows as a shorter time to the first token.",
)
def cpu_differs(pair: Pair) -> Iterator[Hit]:
    """CPU requests or limits differ. A request that is not written is the limit."""
    yield from _differ(pair, "cpu")


@rule(
    "FAIR022",
    "cpu and memory",
    Severity.WARNING,
    title="The pods' quality-of-service classes differ",
    why="A Guaranteed pod can have cores of its own and is evicted last; a Burstable one competes.",
)
def qos_differs(pair: Pair) -> Iterator[Hit]:
    """One pod is Guaranteed, Burstable or BestEffort and the other is not; init containers and sidecars count.

    For cores of their own (static CPU manager) both need requests equal to limits, and whole CPUs.
    """
    fix = f"# in every container of the pod, sidecars too; in the engine's:\n{_resources(pair)}"
    yield from unequal(pair, (qos(pair.first), qos(pair.second)), "the quality-of-service class", fix)


@rule(
    "FAIR023",
    "cpu and memory",
    Severity.WARNING,
    title="An engine starts more threads than its CPU limit allows",
    why="Threads beyond the limit are stopped together for the rest of each scheduling period, which shows as jitter.",
)
def threads(pair: Pair) -> Iterator[Hit]:
    """`OMP_NUM_THREADS` times the number of workers (tensor parallelism) is more than the CPU limit."""
    for engine, other in pair.each():
        fact, limit = engine.variable("OMP_NUM_THREADS"), amount(engine, "limits", "cpu")
        workers = engine.option("tensor_parallel")
        if limit.value is not None:
            yield from in_doubt(fact, f"how many threads {engine.name} starts", "# write OMP_NUM_THREADS out")
        if fact.state != "set" or not str(fact.value).isdecimal() or limit.value is None or not workers.known:
            continue
        wanted = min(int(fact.value), 10**6) * int(workers.value)
        if wanted > limit.value:
            message = f"{engine.name} starts {wanted} threads on {float(limit.value):g} CPUs"
            facts = (fact, other.variable("OMP_NUM_THREADS"))
            yield Hit(message, facts, env_yaml("OMP_NUM_THREADS", str(max(1, int(limit.value / workers.value or 1)))))


@rule(
    "FAIR024",
    "cpu and memory",
    Severity.WARNING,
    title="Shared memory (/dev/shm) is too small or not the same",
    why="Workers talk through /dev/shm; with the runtime's 64 MiB they crash or fall back to slower ways.",
)
def shared_memory(pair: Pair) -> Iterator[Hit]:
    """The size of the memory volume at `/dev/shm` differs, or an engine with several workers has none."""
    facts = (shm(pair.first), shm(pair.second))
    stated = [fact for fact in facts if isinstance(fact.value, Fraction)]
    fix = _SHM.format(size=max(stated, key=lambda fact: fact.value).text if stated else "2Gi")
    yield from unequal(pair, facts, "the size of /dev/shm", fix)
    for engine, _ in pair.each():
        own, workers = shm(engine), engine.option("tensor_parallel")
        if own.value is None and own.known and workers.known and workers.value > 1:
            yield Hit(f"{engine.name} has {workers.value} workers and 64 MiB of /dev/shm", (own, workers), fix)


@rule(
    "FAIR025",
    "cpu and memory",
    Severity.ERROR,
    title="The node can't hold both engines",
    why="The second engine stays pending, or both run on different nodes after all.",
)
def node_too_small(pair: Pair) -> Iterator[Hit]:
    """Both are held to one node and request more CPU or memory than its `status.allocatable`.

    Needs the Node in the input: `kubectl get nodes -o yaml`.
    """
    where = placement(pair)
    nodes = list(pair.of_kind("Node"))
    held = [manifest for manifest in nodes if len(nodes) == 1 or manifest.name == where.facts[0].value]
    if where.nodes != "same" or not held:
        return
    for name in ("cpu", "memory"):
        has = quantity(held[0].get("status", "allocatable", name))
        facts = (amount(pair.first, "requests", name), amount(pair.second, "requests", name))
        total = sum((fact.value or Fraction(0) for fact in facts), Fraction(0))
        if has is not None and total > has:
            message = f"together they request {float(total):g} of {name}, the node {held[0].name} has {float(has):g}"
            yield Hit(message, facts, f"# request less {name}, or use a larger node")


@rule(
    "FAIR026",
    "cpu and memory",
    Severity.WARNING,
    title="Only one pod uses the host's namespaces",
    why="Host networking and host IPC avoid work that the other engine has to do.",
)
def host_namespaces(pair: Pair) -> Iterator[Hit]:
    """`hostNetwork`, `hostIPC` or `hostPID` differs."""
    for name in ("hostNetwork", "hostIPC", "hostPID"):
        facts = (pair.first.pod_fact(name, default=False), pair.second.pod_fact(name, default=False))
        yield from unequal(pair, facts, name, f"{name}: false  # in both pods")


@rule(
    "FAIR027",
    "cpu and memory",
    Severity.WARNING,
    title="An engine has no memory limit",
    why="Loading a model can fill the node's memory; without limits the kernel decides which engine dies.",
)
def memory_missing(pair: Pair) -> Iterator[Hit]:
    """The engine's container has no memory limit."""
    yield from _missing(pair, "memory", both_sections=False)


@rule(
    "FAIR028",
    "cpu and memory",
    Severity.WARNING,
    title="The engines have different amounts of memory",
    why="Pinned buffers and the page cache count against the limit; the tighter one reclaims and stalls.",
)
def memory_differs(pair: Pair) -> Iterator[Hit]:
    """Memory requests or limits differ. A request that is not written is the limit."""
    yield from _differ(pair, "memory")


@rule(
    "FAIR029",
    "cpu and memory",
    Severity.INFO,
    title="Thread settings differ",
    why="More threads for tokenising or sampling change the time to the first token.",
)
def thread_settings(pair: Pair) -> Iterator[Hit]:
    """`OMP_NUM_THREADS`, `MKL_NUM_THREADS`, `TOKENIZERS_PARALLELISM` or `RAYON_NUM_THREADS` differs."""
    for name in _THREADS:
        facts = (pair.first.variable(name), pair.second.variable(name))
        stated = [str(fact.value) for fact in facts if fact.value is not None]
        yield from unequal(pair, facts, name, env_yaml(name, stated[0] if stated else "<the same>"))


RULES = (
    cpu_missing,
    cpu_differs,
    qos_differs,
    threads,
    shared_memory,
    node_too_small,
    host_namespaces,
    memory_missing,
    memory_differs,
    thread_settings,
)
