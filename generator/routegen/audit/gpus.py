"""Which GPUs an engine gets, by its manifest.

Two ways exist: a device plugin (or DRA) hands out what the pod requests, or the container runtime shows what
``NVIDIA_VISIBLE_DEVICES`` names to a pod that requests nothing (NVIDIA container toolkit).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from routegen.audit.engine import Engine
from routegen.audit.facts import Fact
from routegen.audit.quantities import quantity
from routegen.audit.reading import items, mapping

Way = Literal["cpu", "plugin", "claim", "pinned", "all", "unknown"]

_GPU_RESOURCE = re.compile(
    r"(?:gpu\.intel\.com|amd\.com|habana\.ai)/(?!.*_monitoring).+|[\w.-]+/(?:(?!.*(?:mem|core)).*gpu.*|mig-.*|neuron.*|tpu|npu|ascend.*)",
    re.IGNORECASE,
)
_NOTHING = {"none", "void", ""}


@dataclass(frozen=True)
class Gpus:
    """What one engine gets."""

    way: Way
    """``cpu``: none; ``plugin``, ``claim``: what it requests; ``pinned``: by index, unaccounted; ``all``: every one
    that its image sees; ``unknown``: the input doesn't tell."""
    resource: Fact
    """Such as ``nvidia.com/gpu``; ``None``: nothing is requested."""
    count: Fact
    """How many are requested, or pinned where nothing is; ``None`` where that has no number."""
    nvidia: Fact
    """``NVIDIA_VISIBLE_DEVICES``."""
    cuda: Fact
    """``CUDA_VISIBLE_DEVICES`` (or AMD's)."""

    claims: frozenset[str] = frozenset()
    """The ResourceClaims that the container uses by name; claims made from a template are each pod's own."""

    @property
    def indices(self) -> frozenset[str]:
        """What it is pinned to; empty where it is not pinned."""
        for fact in (self.nvidia, self.cuda):
            if fact.known and fact.value is not None and fact.value.strip().lower() not in {*_NOTHING, "all"}:
                return frozenset(part.strip() for part in str(fact.value).split(",") if part.strip())
        return frozenset()

    @property
    def pin(self) -> Fact:
        """The variable that pins it, ``NVIDIA_VISIBLE_DEVICES`` where none does."""
        return self.nvidia if self.nvidia.value is not None or self.cuda.value is None else self.cuda

    @property
    def shared(self) -> bool:
        """Whether the requested resource is a slice in time of a GPU (the device plugin's ``.shared`` names)."""
        return self.resource.known and str(self.resource.value or "").endswith(".shared")


def gpus(engine: Engine) -> Gpus:
    """What ``engine`` gets."""
    resource, count = _requested(engine)
    nvidia = engine.variable("NVIDIA_VISIBLE_DEVICES")
    cuda = next(
        (
            fact
            for name in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
            if (fact := engine.variable(name)).state != "default"
        ),
        engine.variable("CUDA_VISIBLE_DEVICES"),
    )
    found = Gpus("plugin", resource, count, nvidia, cuda)
    if resource.value is not None:
        return found
    if items(engine.get("resources", "claims")) or _managed_claim(engine):
        return Gpus("claim", resource, count, nvidia, cuda, _named_claims(engine))
    hidden = nvidia.state == "set" and str(nvidia.value).strip().lower() in _NOTHING
    if on_cpu(engine) or hidden:
        return Gpus("cpu", resource, count, nvidia, cuda)
    if found.indices:
        return Gpus("pinned", resource, Fact("set", Fraction(len(found.indices)), found.pin.place), nvidia, cuda)
    return Gpus("all" if resource.known and nvidia.known else "unknown", resource, count, nvidia, cuda)


def _named_claims(engine: Engine) -> frozenset[str]:
    used = {mapping(claim).get("name") for claim in items(engine.get("resources", "claims"))}
    pods = [mapping(claim) for claim in items(engine.pod_get("resourceClaims"))]
    return frozenset(
        str(claim["resourceClaimName"]) for claim in pods if claim.get("name") in used and "resourceClaimName" in claim
    )


def _managed_claim(engine: Engine) -> bool:
    """Whether KServe makes a DRA claim for the pods (its annotation for managed DRA)."""
    return bool(engine.manifest.get("metadata", "annotations", "serving.kserve.io/exp-dra-device-class"))


def on_cpu(engine: Engine) -> bool:
    """Whether the engine runs on the CPU: its device, its image's name, or vLLM's CPU settings say so."""
    device = engine.option("device")
    image = str(engine.get("image") or "").lower()
    named = re.search(r"(?:^|[-_/:.])(?:cpu|xeon)(?:$|[-_/:.@])", image) is not None
    return device.value == "cpu" or named or engine.variable("VLLM_CPU_KVCACHE_SPACE").state == "set"


def gpu_requests(engine: Engine) -> Iterator[tuple[str, str, object]]:
    """Each GPU resource in ``requests`` and ``limits``: which of them, its name, its amount."""
    for section in ("limits", "requests"):
        for name, amount in mapping(engine.get("resources", section)).items():
            if is_gpu(name):
                yield section, name, amount


def is_gpu(resource: str) -> bool:
    """Whether the resource of this name is a GPU, a part of one, or another accelerator."""
    return _GPU_RESOURCE.fullmatch(resource) is not None


def _requested(engine: Engine) -> tuple[Fact, Fact]:
    for section, name, amount in gpu_requests(engine):
        number = quantity(amount)
        place = engine.place("resources", section, name)
        if number is None:
            return Fact("set", name, place), Fact("unknown", None, place, f'"{amount}" is not a quantity')
        if number > 0:
            return Fact("set", name, place), Fact("set", number * engine.pods_a_replica, place)
    nothing = engine.fact("resources", "limits", "nvidia.com/gpu")
    return nothing, nothing
