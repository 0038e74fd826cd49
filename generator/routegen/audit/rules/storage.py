"""Storage: model files and caches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from routegen.audit.engine import Engine
from routegen.audit.facts import Fact
from routegen.audit.findings import Hit, Severity, rule
from routegen.audit.pairs import Pair
from routegen.audit.placement import placement
from routegen.audit.reading import items
from routegen.audit.rules.checks import env_yaml, in_doubt, unequal
from routegen.audit.storage import Location, hub_cache, locate, model, shared_volumes

_READ_ONLY = (
    "# download the model once beforehand (a Job), then in both:\n"
    "volumeMounts: [{name: models, mountPath: /models, readOnly: true}]\n"
    'env: [{name: HF_HUB_OFFLINE, value: "1"}]'
)
_COMPILE_CACHES = (
    "VLLM_CACHE_ROOT",
    "TORCHINDUCTOR_CACHE_DIR",
    "TRITON_CACHE_DIR",
    "FLASHINFER_WORKSPACE_BASE",
    "SGLANG_CACHE_DIR",
)


@rule(
    "FAIR040",
    "storage",
    Severity.WARNING,
    title="Both engines write to one Hugging Face cache",
    why="Two writers wait for each other's locks, and on shared file systems can spoil each other's files.",
)
def shared_cache(pair: Pair) -> Iterator[Hit]:
    """The cache directory of both (`HF_HUB_CACHE`, `HF_HOME`/hub, …) is on one volume, writable for both.

    On file systems that ignore `flock` (Lustre, GPFS, some NFS) a concurrent download leaves broken files behind.
    """
    common = shared_volumes(pair.first).items() & shared_volumes(pair.second).items()
    for engine, _ in pair.each():
        if any(not read_only for _, read_only in common):
            yield from in_doubt(hub_cache(engine)[1], f"where {engine.name} caches downloads", _READ_ONLY)
    places = [_cache(engine) for engine, _ in pair.each()]
    first, second = places
    if first is None or second is None or first[0].read_only or second[0].read_only:
        return
    if first[0].shared and (first[0].volume, first[0].path) == (second[0].volume, second[0].path):
        where = f"{first[0].volume}{'/' + first[0].path if first[0].path else ''}"
        facts = tuple(Fact("set", place[1], place[0].place) for place in (first, second))
        yield Hit(f"both engines write to the Hugging Face cache on {where}", facts, _READ_ONLY)


def _cache(engine: Engine) -> tuple[Location, str] | None:
    directory, _ = hub_cache(engine)
    location = locate(engine, directory) if directory else None
    return (location, directory) if location is not None else None


@rule(
    "FAIR041",
    "storage",
    Severity.ERROR,
    title="The model's volume can't be mounted by both pods",
    why="The second pod waits for the volume and never starts.",
)
def claim_access(pair: Pair) -> Iterator[Hit]:
    """Both mount one PersistentVolumeClaim that is `ReadWriteOncePod`, or `ReadWriteOnce` on different nodes.

    Needs the claim in the input.
    """
    claims = [_claims(engine) for engine, _ in pair.each()]
    space = pair.first.manifest.namespace
    if space != pair.second.manifest.namespace:
        return
    for claim in sorted(claims[0].keys() & claims[1].keys()):
        manifest = next(
            (
                one
                for one in pair.of_kind("PersistentVolumeClaim")
                if one.name == claim and one.namespace in {space, ""}
            ),
            None,
        )
        modes = {str(mode) for mode in items(manifest.get("spec", "accessModes"))} if manifest else set()
        if manifest is None or modes & {"ReadWriteMany", "ReadOnlyMany"} or not modes:
            continue
        nodes = placement(pair).nodes
        if "ReadWriteOncePod" not in modes and nodes == "same":
            continue
        fact = manifest.fact("spec", "accessModes")
        facts = (Fact("set", ", ".join(sorted(modes)), fact.place), claims[0][claim], claims[1][claim])
        certain = "ReadWriteOncePod" in modes or nodes == "different"
        verb = "can't both mount" if certain else "may not both be able to mount"
        fix = "accessModes: [ReadOnlyMany]"
        yield Hit(f"the engines {verb} the claim {claim} ({facts[0].value})", facts, fix, unknown=not certain)


def _claims(engine: Engine) -> dict[str, Fact]:
    found = {}
    for index, _ in enumerate(items(engine.pod_get("volumes"))):
        fact = engine.pod_fact("volumes", index, "persistentVolumeClaim", "claimName")
        if fact.value is not None:
            found[str(fact.value)] = fact
    return found


@rule(
    "FAIR042",
    "storage",
    Severity.INFO,
    title="Only one engine keeps its compiled kernels",
    why="An engine that compiles at start is slow for its first requests; the other one isn't.",
)
def compile_caches(pair: Pair) -> Iterator[Hit]:
    """A compile cache directory lies on a volume that outlives the pod, in one engine only.

    The directories are those in `VLLM_CACHE_ROOT`, `TORCHINDUCTOR_CACHE_DIR`, `TRITON_CACHE_DIR`,
    `FLASHINFER_WORKSPACE_BASE` and `SGLANG_CACHE_DIR`.
    """
    facts = []
    for engine, _ in pair.each():
        kept = None
        for name in _COMPILE_CACHES:
            variable = engine.variable(name)
            location = locate(engine, str(variable.value)) if variable.value else None
            if location is not None and location.shared:
                kept = Fact("set", True, variable.place, f"{name} on {location.volume}")
        facts.append(kept or Fact("set", False, engine.place("volumeMounts")))
    yield from unequal(pair, (facts[0], facts[1]), "a lasting compile cache", "# keep the cache in both, or in none")


@rule(
    "FAIR043",
    "storage",
    Severity.WARNING,
    title="Model files are writable",
    why="A writable model directory can change between two runs, by either engine.",
)
def writable_model(pair: Pair) -> Iterator[Hit]:
    """The model is a local path on a volume that several pods can have, mounted without `readOnly: true`."""
    for engine, other in pair.each():
        own = model(engine).location
        if own is not None and own.shared and not own.read_only:
            theirs = model(other).location
            facts = [
                Fact("set", f"{one.volume}, {'read-only' if one.read_only else 'writable'}", one.place)
                for one in (own, theirs)
                if one
            ]
            yield Hit(f"{engine.name} can write to its model files on {own.volume}", tuple(facts), _READ_ONLY)


@rule(
    "FAIR044",
    "storage",
    Severity.INFO,
    title="The engines load the model from different places",
    why="The first start of one downloads what the other reads from disk; loading times can't be compared.",
)
def model_source(pair: Pair) -> Iterator[Hit]:
    """One engine names a Hugging Face id or a URI, the other a local path; or the paths are on different volumes."""
    facts = []
    for engine, _ in pair.each():
        found = model(engine)
        if not found.fact.known:
            return
        kind = "a download" if found.hub or found.uri else "the image or a preset's volume"
        if found.location is not None:
            kind = found.location.volume if found.location.shared else "a volume of its own"
        facts.append(Fact("set", kind, found.fact.place))
    yield from unequal(pair, (facts[0], facts[1]), "where the model is loaded from", _READ_ONLY)


@rule(
    "FAIR045",
    "storage",
    Severity.INFO,
    title="Only one engine may ask the Hugging Face hub",
    why="An engine that asks the hub at start can load newer files and waits for the network.",
)
def offline(pair: Pair) -> Iterator[Hit]:
    """`HF_HUB_OFFLINE` (or `TRANSFORMERS_OFFLINE`) differs."""
    facts = []
    for engine, _ in pair.each():
        hub, transformers = engine.variable("HF_HUB_OFFLINE"), engine.variable("TRANSFORMERS_OFFLINE")
        fact = hub if hub.state != "default" else transformers
        on = str(fact.value or "").upper() in {"1", "ON", "YES", "TRUE"}
        facts.append(replace(fact, value=on) if fact.known else fact)
    yield from unequal(pair, (facts[0], facts[1]), "HF_HUB_OFFLINE", env_yaml("HF_HUB_OFFLINE", "1"))


RULES = (shared_cache, claim_access, compile_caches, writable_model, model_source, offline)
