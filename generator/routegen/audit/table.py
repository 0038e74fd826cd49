"""The first answer: which of a node's resources the two engines share.

Six resources, as anyone would ask for them: GPU, GPU memory, system memory, CPU, disk, network. Each is isolated,
shared (both use it, within bounds that the why names), conflicting (they can't both have it), or cannot tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from routegen.audit.amounts import amount, qos
from routegen.audit.gpus import Gpus, gpus
from routegen.audit.pairs import Pair
from routegen.audit.placement import Placement, placement
from routegen.audit.reading import is_on
from routegen.audit.rules.network import host_port
from routegen.audit.rules.storage import claim_access, shared_cache
from routegen.audit.storage import shared_volumes

State = Literal["isolated", "shared", "conflicting", "cannot tell"]


@dataclass(frozen=True, slots=True)
class Row:
    """One resource."""

    resource: str
    state: State
    why: str


def table(pair: Pair) -> tuple[Row, ...]:
    """All six resources for one pair."""
    where = placement(pair)
    if where.nodes == "different":
        names = ("GPU", "GPU memory", "system memory", "CPU")
        apart = tuple(Row(name, "isolated", where.why) for name in names)
        return (*apart, _disk(pair, where), Row("network", "isolated", where.why))
    gpu = Row("GPU", *_gpu(pair))
    return (
        gpu,
        Row("GPU memory", *_gpu_memory(pair, gpu)),
        Row("system memory", *_on_node(where, _memory(pair))),
        Row("CPU", *_on_node(where, _cpu(pair))),
        _disk(pair, where),
        Row("network", *_network(pair, where)),
    )


def _on_node(where: Placement, answer: tuple[State, str]) -> tuple[State, str]:
    """What holds on one node can't be told where the nodes are not known."""
    if where.nodes == "unknown" and answer[0] != "cannot tell":
        return "cannot tell", f"{where.why}; on one node: {answer[0]}, {answer[1]}"
    return answer


def _gpu(pair: Pair) -> tuple[State, str]:
    first, second = gpus(pair.first), gpus(pair.second)
    ways = {first.way, second.way}
    if "cpu" in ways:
        return "isolated", "neither engine uses a GPU" if ways == {"cpu"} else "only one engine uses a GPU"
    if common := _common_gpu(pair, first, second):
        return "conflicting", common
    if first.way == second.way == "pinned":
        indices = [", ".join(sorted(own.indices)) for own in (first, second)]
        return "isolated", f"pinned to GPU {indices[0]} and GPU {indices[1]}"
    if first.shared or second.shared:
        return "shared", "a GPU is requested in slices of time"
    if any(is_on(engine.get("securityContext", "privileged")) for engine, _ in pair.each()):
        return "cannot tell", "a privileged container sees every GPU of its node"
    if ways <= {"plugin", "claim"}:
        mig = "mig" in f"{first.resource.value}{second.resource.value}"
        return "isolated", f"each requests {'a MIG slice' if mig else 'GPUs'} of its own"
    if any(own.way == "all" and own.nvidia.state == "set" for own in (first, second)):
        return "conflicting", "an engine sees every GPU of its node (NVIDIA_VISIBLE_DEVICES=all)"
    if "all" in ways:
        return "cannot tell", "an engine neither requests a GPU nor names one, so its image decides what it sees"
    if "unknown" in ways:
        return "cannot tell", "the input doesn't say which GPU an engine gets"
    return "cannot tell", "one engine requests its GPU, the other takes one by index; it may be the same"


def _common_gpu(pair: Pair, first: Gpus, second: Gpus) -> str:
    """What gives both engines one GPU; empty where nothing does."""
    if first.way == second.way == "pinned" and (indices := first.indices & second.indices):
        return f"both are pinned to GPU {', '.join(sorted(indices))}"
    if pair.first.manifest.namespace == pair.second.manifest.namespace and (claims := first.claims & second.claims):
        return f"both use the ResourceClaim {min(claims)}"
    return ""


def _gpu_memory(pair: Pair, gpu: Row) -> tuple[State, str]:
    if gpu.state == "isolated":
        return "isolated", "follows from the GPU"
    facts = pair.option("memory_fraction")
    if gpu.state == "cannot tell" or not all(fact.known for fact in facts):
        return "cannot tell", "it depends on the GPU and on what each engine takes of it"
    total = facts[0].value + facts[1].value
    if total > 1:
        return "conflicting", f"the engines' fractions add up to {total:.2f}"
    return "shared", f"the engines' fractions add up to {total:.2f}"


def _memory(pair: Pair) -> tuple[State, str]:
    limits = [amount(engine, "limits", "memory") for engine, _ in pair.each()]
    if not all(limit.known for limit in limits):
        return "cannot tell", "a memory limit is not in the input"
    if all(limit.value is not None for limit in limits):
        return "shared", f"limited to {limits[0].shown} and {limits[1].shown}; the page cache is common"
    return "shared", "without a limit on both, one can take what the other needs"


def _cpu(pair: Pair) -> tuple[State, str]:
    limits = [amount(engine, "limits", "cpu") for engine, _ in pair.each()]
    if not all(limit.known for limit in limits):
        return "cannot tell", "a CPU limit is not in the input"
    classes = [qos(engine).value for engine, _ in pair.each()]
    if not all(limit.value is not None for limit in limits):
        return "shared", "without a limit on both, one can take what the other needs; set CPU requests and limits"
    shown = f"{limits[0].shown} and {limits[1].shown} CPUs"
    whole = all(limit.value is not None and limit.value.denominator == 1 for limit in limits)
    if classes == ["Guaranteed", "Guaranteed"] and whole:
        return "isolated", f"{shown}, Guaranteed and whole: cores of their own where the CPU manager is static"
    return "shared", f"limited to {shown}; for cores of their own set requests = limits, in whole CPUs"


def _disk(pair: Pair, where: Placement) -> Row:
    for hit in claim_access.check(pair):
        return Row("disk", "cannot tell" if hit.unknown else "conflicting", hit.message)
    common = sorted(shared_volumes(pair.first).keys() & shared_volumes(pair.second).keys())
    if not common:
        if where.nodes == "different":
            return Row("disk", "isolated", where.why)
        return Row("disk", *_on_node(where, ("shared", "the node's own disk: images and scratch space")))
    read_only = all(shared_volumes(engine)[name] for engine, _ in pair.each() for name in common)
    access = "read-only for both" if read_only else "writable"
    cache = "; both write to one Hugging Face cache" if any(shared_cache.check(pair)) else ""
    return Row("disk", "shared", f"both mount {', '.join(common)} ({access}){cache}")


def _network(pair: Pair, where: Placement) -> tuple[State, str]:
    for hit in host_port.check(pair):
        return ("cannot tell" if hit.unknown else "conflicting"), hit.message
    return _on_node(where, ("shared", "one node's network; rarely what limits inference"))
