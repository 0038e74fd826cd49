"""GPUs: whether each engine has its own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

from routegen.audit.engine import Engine
from routegen.audit.facts import Fact
from routegen.audit.findings import Hit, Severity, rule
from routegen.audit.gpus import gpu_requests, gpus
from routegen.audit.pairs import Pair
from routegen.audit.placement import placement
from routegen.audit.quantities import quantity
from routegen.audit.reading import is_on, mapping
from routegen.audit.rules.checks import env_yaml, in_doubt, unequal

_REQUEST = "resources:\n  requests: {nvidia.com/gpu: 1}\n  limits: {nvidia.com/gpu: 1}"
_OWN_GPU = f"# remove NVIDIA_VISIBLE_DEVICES and CUDA_VISIBLE_DEVICES, and in both:\n{_REQUEST}"


@rule(
    "FAIR001",
    "gpu",
    Severity.ERROR,
    title="Both engines are given the same GPU",
    why="Two engines on one GPU take turns and share its memory, so each measures the other's load.",
)
def same_index(pair: Pair) -> Iterator[Hit]:
    """Both containers name the same device in `NVIDIA_VISIBLE_DEVICES` or `CUDA_VISIBLE_DEVICES` and request none.

    Not for engines that are held to different nodes, or that request their GPUs: there the names mean something else.
    Or both use one ResourceClaim by its name; claims from a template are each pod's own.
    """
    both = [gpus(engine) for engine, _ in pair.each()]
    same_space = pair.first.manifest.namespace == pair.second.manifest.namespace
    for claim in sorted(both[0].claims & both[1].claims) if same_space else ():
        facts = [Fact("set", claim, engine.place("resources", "claims")) for engine, _ in pair.each()]
        fix = "resourceClaims: [{name: gpu, resourceClaimTemplateName: <template>}]  # a claim of its own for each pod"
        yield Hit(f"both engines use the ResourceClaim {claim}", (facts[0], facts[1]), fix)
    if any(own.way != "pinned" for own in both) or placement(pair).nodes == "different":
        return
    if common := both[0].indices & both[1].indices:
        yield Hit(f"both engines are pinned to GPU {', '.join(sorted(common))}", (both[0].pin, both[1].pin), _OWN_GPU)


@rule(
    "FAIR002",
    "gpu",
    Severity.WARNING,
    title="NVIDIA_VISIBLE_DEVICES is set beside a GPU request",
    why="The device plugin overwrites the variable, so the engine runs on another GPU than the manifest says.",
)
def pin_and_request(pair: Pair) -> Iterator[Hit]:
    """The container requests a GPU and also sets `NVIDIA_VISIBLE_DEVICES`.

    With the device plugin's usual strategy (`envvar`) the plugin sets the variable itself and the manifest's value is
    lost; with other strategies both take effect. Either way the manifest doesn't say which GPU is used. Source:
    NVIDIA container toolkit and k8s-device-plugin documentation.
    """
    for engine, other in pair.each():
        own = gpus(engine)
        if own.way == "plugin":
            yield from in_doubt(own.nvidia, f"whether {engine.name} pins a GPU", "# remove NVIDIA_VISIBLE_DEVICES")
        if own.way == "plugin" and own.nvidia.state == "set" and own.nvidia.value.lower() not in {"void", "none"}:
            message = f"{engine.name} pins GPU {own.nvidia.value} and requests {own.resource.value}; the pin is lost"
            yield Hit(message, (own.nvidia, gpus(other).nvidia), "# remove NVIDIA_VISIBLE_DEVICES; keep:\n" + _REQUEST)


@rule(
    "FAIR003",
    "gpu",
    Severity.WARNING,
    title="A GPU is pinned by index without being requested",
    why="The scheduler doesn't know that the GPU is taken and can give it to another pod in the middle of a run.",
)
def unaccounted(pair: Pair) -> Iterator[Hit]:
    """`NVIDIA_VISIBLE_DEVICES` or `CUDA_VISIBLE_DEVICES` names a device, and the container requests no GPU.

    It works only where the container runtime lets unprivileged pods choose
    (`accept-nvidia-visible-devices-envvar-when-unprivileged`). Let the device plugin hand out whole GPUs instead: two
    pods that request one each never get the same one.
    """
    for engine, other in pair.each():
        own = gpus(engine)
        if own.way == "pinned":
            message = f"{engine.name} uses GPU {', '.join(sorted(own.indices))} without requesting it"
            yield Hit(message, (own.pin, gpus(other).pin), _OWN_GPU)


@rule(
    "FAIR004",
    "gpu",
    Severity.ERROR,
    title="An engine may see every GPU of its node",
    why="An engine that sees all GPUs starts on GPU 0, next to whatever else runs there.",
)
def sees_all(pair: Pair) -> Iterator[Hit]:
    """No GPU is requested and none is named, or `NVIDIA_VISIBLE_DEVICES` is `all`.

    CUDA images set the variable to `all` themselves, so with NVIDIA's runtime as the default the container sees every
    GPU. Where the variable is not set in the manifest the audit can't tell what the image says.
    """
    for engine, other in pair.each():
        own = gpus(engine)
        if own.way == "unknown":
            yield from in_doubt(own.nvidia, f"which GPUs {engine.name} sees", _REQUEST)
        if own.way != "all":
            continue
        stated = own.nvidia.state == "set"
        says = "sets NVIDIA_VISIBLE_DEVICES=all" if stated else "requests no GPU and names none"
        yield Hit(f"{engine.name} {says}", (own.nvidia, gpus(other).nvidia), _REQUEST, unknown=not stated)


@rule(
    "FAIR005",
    "gpu",
    Severity.ERROR,
    title="CUDA_VISIBLE_DEVICES names a GPU that the container doesn't have",
    why="Inside a container GPUs are counted from 0; an index past the last one leaves the engine without a GPU.",
)
def index_out_of_range(pair: Pair) -> Iterator[Hit]:
    """The highest index in `CUDA_VISIBLE_DEVICES` is not below the number of GPUs that the container requests."""
    for engine, other in pair.each():
        own = gpus(engine)
        if own.way == "plugin":
            yield from in_doubt(own.cuda, f"which GPU {engine.name} uses", "# remove CUDA_VISIBLE_DEVICES")
        if own.way != "plugin" or own.cuda.state != "set" or not own.count.known:
            continue
        indices = [int(part) for part in own.cuda.value.split(",") if part.strip().isdecimal()]
        if indices and max(indices) >= own.count.value:
            message = f"{engine.name} requests {own.count.value} GPU and asks for index {max(indices)}"
            yield Hit(message, (own.cuda, gpus(other).cuda), "# remove CUDA_VISIBLE_DEVICES")


@rule(
    "FAIR006",
    "gpu",
    Severity.ERROR,
    title="A GPU is shared in time",
    why="A time slice of a GPU is as fast as its other users allow, which changes from run to run.",
)
def time_sliced(pair: Pair) -> Iterator[Hit]:
    """The requested resource ends in `.shared` (the device plugin's name for time-slicing and MPS replicas).

    A plugin that is told not to rename shared GPUs hides this from the audit.
    """
    for engine, other in pair.each():
        if gpus(engine).shared:
            message = f"{engine.name} requests {gpus(engine).resource.value}, a shared GPU"
            yield Hit(message, (gpus(engine).resource, gpus(other).resource), _REQUEST)


@rule(
    "FAIR007",
    "gpu",
    Severity.ERROR,
    title="The engines request different kinds of GPU",
    why="Different GPUs, or different slices (MIG) of one, are different hardware; the comparison measures that.",
)
def resource_differs(pair: Pair) -> Iterator[Hit]:
    """Both containers request GPU resources and their names differ, such as `nvidia.com/mig-1g.10gb` and `-2g.20gb`."""
    first, second = gpus(pair.first), gpus(pair.second)
    if first.way == second.way == "plugin":
        yield from unequal(pair, (first.resource, second.resource), "the kind of GPU", _REQUEST)
    elif {first.way, second.way} & {"cpu"} and first.way != second.way:
        on_gpu, on_cpu = (pair.second, pair.first) if first.way == "cpu" else (pair.first, pair.second)
        message = f"{on_gpu.name} runs on a GPU, {on_cpu.name} on the CPU"
        yield Hit(message, (first.resource, second.resource), _REQUEST)


@rule(
    "FAIR008",
    "gpu",
    Severity.WARNING,
    title="A privileged container sees every GPU",
    why="A privileged container has all devices of the node, so its GPU request limits nothing.",
)
def privileged(pair: Pair) -> Iterator[Hit]:
    """The engine's container has `securityContext.privileged: true`."""
    for engine, other in pair.each():
        facts = (engine.fact("securityContext", "privileged"), other.fact("securityContext", "privileged"))
        if is_on(facts[0].value):
            yield Hit(f"{engine.name} is privileged", facts, "securityContext: {privileged: false}")


@rule(
    "FAIR009",
    "gpu",
    Severity.ERROR,
    title="The engines have different numbers of GPUs",
    why="Twice the GPUs is twice the hardware; the comparison then says nothing about the engines.",
)
def count_differs(pair: Pair) -> Iterator[Hit]:
    """The numbers of requested (or pinned) GPUs differ."""
    first, second = gpus(pair.first), gpus(pair.second)
    if first.count.value is not None and second.count.value is not None:
        yield from unequal(pair, (first.count, second.count), "the number of GPUs", _REQUEST)


@rule(
    "FAIR010",
    "gpu",
    Severity.WARNING,
    title="The number of GPUs is not what the engine is told to use",
    why="An engine that has more GPUs than it uses wastes them, one that has fewer doesn't start.",
)
def count_against_parallelism(pair: Pair) -> Iterator[Hit]:
    """The requested GPUs differ from tensor x pipeline x data parallelism.

    All pods of a LeaderWorkerSet, and of an engine over several nodes (`--nnodes`), count. Of vLLM's data parallelism
    only the part in this pod counts (`--data-parallel-size-local`). With SGLang's `--enable-dp-attention` data
    parallelism uses the same GPUs as tensor parallelism. LLMInferenceServices with `spec.worker` are left out.
    """
    for engine, _ in pair.each():
        own = gpus(engine)
        uses = _gpus_used(engine)
        workers = mapping(engine.manifest.get("spec", "worker"))
        if own.way != "plugin" or not own.count.known or uses is None or workers:
            continue
        if Fraction(uses) != own.count.value:
            fix = (
                f"resources:\n  requests: {{{own.resource.value}: {uses}}}\n  limits: {{{own.resource.value}: {uses}}}"
            )
            yield Hit(
                f"{engine.name} requests {own.count.value} GPU and uses {uses}",
                (own.count, engine.option("tensor_parallel")),
                fix,
            )


def _gpus_used(engine: Engine) -> int | None:
    """How many GPUs the engine is told to use in one replica; ``None`` where that can't be told."""
    here = engine.option("data_parallel_here")
    degrees = [engine.option("tensor_parallel"), engine.option("pipeline_parallel")]
    if engine.option("dp_attention").value is not True:
        degrees.append(here if here.state == "set" else engine.option("data_parallel"))
    return math.prod(degree.value for degree in degrees) if all(degree.known for degree in degrees) else None


@rule(
    "FAIR011",
    "gpu",
    Severity.ERROR,
    title="GPU request and limit are not equal",
    why="Kubernetes refuses a pod whose extended resources are not requested exactly as they are limited.",
)
def request_is_limit(pair: Pair) -> Iterator[Hit]:
    """A GPU resource is in `requests` without an equal amount in `limits`. Kubernetes, "Extended resources"."""
    for engine, _ in pair.each():
        found: dict[str, dict[str, object]] = {}
        for section, name, amount in gpu_requests(engine):
            found.setdefault(name, {})[section] = amount
        for name, amounts in found.items():
            limit = amounts.get("limits")
            if "requests" in amounts and (limit is None or quantity(limit) != quantity(amounts["requests"])):
                facts = (engine.fact("resources", "requests", name), engine.fact("resources", "limits", name))
                message = f"{engine.name} requests {facts[0].shown} of {name} and limits {facts[1].shown}"
                yield Hit(message, facts, _REQUEST.replace("nvidia.com/gpu", name))


@rule(
    "FAIR012",
    "gpu",
    Severity.INFO,
    title="GPU indices may not mean the same device in both engines",
    why="CUDA numbers GPUs by speed unless it is told to go by bus, so index 1 can be a different card.",
)
def device_order(pair: Pair) -> Iterator[Hit]:
    """`CUDA_VISIBLE_DEVICES` is set in a container and `CUDA_DEVICE_ORDER` differs between the two.

    CUDA's default order is `FASTEST_FIRST`; `nvidia-smi` counts by `PCI_BUS_ID`. Source: CUDA programming guide,
    environment variables.
    """
    if any(gpus(engine).cuda.state == "set" for engine, _ in pair.each()):
        facts = (pair.first.variable("CUDA_DEVICE_ORDER"), pair.second.variable("CUDA_DEVICE_ORDER"))
        yield from unequal(pair, facts, "CUDA_DEVICE_ORDER", env_yaml("CUDA_DEVICE_ORDER", "PCI_BUS_ID"))


RULES = (
    same_index,
    pin_and_request,
    unaccounted,
    sees_all,
    index_out_of_range,
    time_sliced,
    resource_differs,
    privileged,
    count_differs,
    count_against_parallelism,
    request_is_limit,
    device_order,
)
