"""The engines among the objects: which containers run one, and what was passed over."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from routegen.audit.arguments import CommandLine
from routegen.audit.compose import dynamo_services, inference_service, pod_templates, ray_service, with_bases
from routegen.audit.engine import (
    FROM_SPEC,
    FROM_VARIABLE,
    KSERVE,
    KSERVE_MODEL_DIR,
    KSERVE_PORT,
    Engine,
    image_version,
    kserve_labels,
)
from routegen.audit.engines import kinds
from routegen.audit.environment import Environment, expand, read_environment
from routegen.audit.facts import Place
from routegen.audit.options import Given, Parsed, parse
from routegen.audit.reading import Manifest, dig, items, mapping
from routegen.audit.shell import Word, commands
from routegen.audit.starts import command_line, what_else
from routegen.common.positions import Path

_POD: Final[Path] = ("spec", "template", "spec")
_PATTERNS: Final = {
    "ClusterServingRuntime": "it is a pattern for InferenceServices",
    "LLMInferenceServiceConfig": "it is a pattern for LLMInferenceServices",
    "PodTemplate": "it is a pattern for pods",
    "ServingRuntime": "it is a pattern for InferenceServices",
}
_ONE_GROUP: Final = {"LeaderWorkerSet", "RayCluster"}
"""Kinds whose pods run one engine together: the first that starts it stands for all."""


@dataclass(frozen=True)
class Skipped:
    """An object (or a file) that was passed over, and why."""

    what: str
    place: Place
    reason: str


@dataclass(frozen=True)
class Found:
    """What the input holds."""

    engines: tuple[Engine, ...]
    skipped: tuple[Skipped, ...]


def look(world: Sequence[Manifest]) -> Found:
    """Every container that runs an engine, in the input's order, and the workloads that run none."""
    workloads = [manifest for manifest in world if _is_workload(manifest)]
    own = [manifest for manifest in workloads if not _made_by_another(manifest, workloads)]
    found: list[Engine] = []
    skipped: list[Skipped] = []
    for manifest in own:
        engines = list(_engines(manifest, world))
        found += engines
        if engines:
            skipped += _idle_roles(manifest, world)
        else:
            skipped.append(Skipped(manifest.title, manifest.place("kind"), _why_none(manifest, world)))
    names = [engine.name for engine in found]
    return Found(
        tuple(
            engine if names.count(engine.name) == 1 else replace(engine, name=f"{engine.manifest.title}:{index}")
            for index, engine in enumerate(found)
        ),
        tuple(skipped),
    )


def find_engines(world: Sequence[Manifest]) -> list[Engine]:
    """Every container that runs an engine, in the input's order."""
    return list(look(world).engines)


def workload_engines(manifest: Manifest, world: Sequence[Manifest]) -> list[Engine]:
    """The engines of a workload that a user named, its first container where none is recognised."""
    return list(_engines(manifest, world)) or list(_engines(manifest, world, any_command=True))[:1]


def _is_workload(manifest: Manifest) -> bool:
    if manifest.kind in {
        KSERVE,
        "Pod",
        "InferenceService",
        "RayService",
        "DynamoGraphDeployment",
        "Rollout",
        *_PATTERNS,
    }:
        return True
    return any(True for _ in pod_templates(manifest))


def _templates(manifest: Manifest, world: Sequence[Manifest]) -> Iterator[tuple[str, Manifest, str]]:
    """The pods that an object makes: role, an object with one pod template, why more may be said elsewhere."""
    match manifest.kind:
        case kind if kind in _PATTERNS:
            return
        case "InferenceService":
            service = inference_service(manifest, world)
            if service is not None:
                yield "", *service
            return
        case "DynamoGraphDeployment" if mapping(manifest.get("spec", "services")):
            yield from ((role, one, "") for role, one in dynamo_services(manifest))
            return
        case "RayService":
            models = list(ray_service(manifest))
            yield from ((role, one, "") for role, one in models)
            if models:
                return
    yield from ((role, one, "") for role, one in pod_templates(manifest))


def _engines(manifest: Manifest, world: Sequence[Manifest], *, any_command: bool = False) -> Iterator[Engine]:
    if manifest.kind == KSERVE:
        yield from _kserve(manifest, world)
        return
    if manifest.kind == "Pod":
        yield from _of_pod(manifest, ("spec",), ("metadata", "labels"), world, any_command=any_command)
        return
    roles = []
    for role, template, missing in _templates(manifest, world):
        labels: Path = ("spec", "template", "metadata", "labels")
        engines = [
            replace(engine, role=role, missing=missing, line=_missing(engine.line, missing))
            for engine in _of_pod(template, _POD, labels, world, any_command=any_command or bool(missing))
        ]
        if engines and manifest.kind in _ONE_GROUP:
            yield from engines
            return
        roles += [engines] if engines else []
    prefilled = any("prefill" in engine.role.lower() for engines in roles for engine in engines)
    for engines in roles:
        for engine in engines:
            name = engine.name if len(roles) == 1 else f"{engine.name}/{engine.role}"
            yield replace(engine, name=name, prefilled=prefilled and "prefill" not in engine.role.lower())


def _missing(line: CommandLine, missing: str) -> CommandLine:
    """A command line of which a part is not in the input."""
    if not missing:
        return line
    kind = line.kind or kinds()["sglang" if "sglang" in missing else "vllm"]
    return replace(line, kind=kind, told=Parsed(rest_unknown=missing))


def _of_pod(
    manifest: Manifest, pod: Path, labels: Path, world: Sequence[Manifest], *, any_command: bool
) -> Iterator[Engine]:
    containers = range(len(items(manifest.get(*pod, "containers"))))
    engines = [_engine(manifest, pod, labels, index, world) for index in containers]
    known = [engine for engine in engines if engine.line.kind is not None or any_command]
    for engine in known:
        yield engine if len(known) == 1 else replace(engine, name=f"{engine.name}/{engine.get('name')}")


def _why_none(manifest: Manifest, world: Sequence[Manifest]) -> str:
    """Why an object that makes pods has no engine."""
    if manifest.kind in _PATTERNS:
        return _PATTERNS[manifest.kind]
    if manifest.kind == "InferenceService":
        return "its model's format and runtime are those of no engine that is known here"
    if manifest.kind == "Rollout" and manifest.get("spec", "workloadRef"):
        reference = mapping(manifest.get("spec", "workloadRef"))
        return f"its pods are those of {reference.get('kind')} {reference.get('name')}"
    if manifest.kind == "RayService":
        return "what its Serve applications start can't be read"
    pods = [manifest.get("spec")] if manifest.kind == "Pod" else []
    pods += [template.get(*_POD) for _, template, _ in _templates(manifest, world)]
    return _nothing_starts(pods, manifest.namespace, world)


def _idle_roles(manifest: Manifest, world: Sequence[Manifest]) -> Iterator[Skipped]:
    """Those of several pods of an object that run no engine, such as a router's."""
    if manifest.kind in {KSERVE, "Pod", *_ONE_GROUP}:
        return
    labels: Path = ("spec", "template", "metadata", "labels")
    for role, template, missing in _templates(manifest, world):
        if not missing and not any(_of_pod(template, _POD, labels, world, any_command=False)):
            reason = _nothing_starts([template.get(*_POD)], manifest.namespace, world)
            yield Skipped(f"{manifest.title} {role}".strip(), template.place(*_POD), reason)


def _nothing_starts(pods: Sequence[object], namespace: str, world: Sequence[Manifest]) -> str:
    said = []
    for container in (mapping(one) for pod in pods for one in items(mapping(pod).get("containers"))):
        other = what_else(container, read_environment(container, namespace, world))
        said.append(f"{container.get('image') or container.get('name')}{f' runs {other}' if other else ''}")
    return f"no engine that is known here starts in it ({', '.join(said) or 'it has no containers'})"


def _made_by_another(manifest: Manifest, workloads: Sequence[Manifest]) -> bool:
    """Whether a controller made this object for another one of the input, such as a Deployment's Pod."""
    owners = [mapping(owner) for owner in items(manifest.get("metadata", "ownerReferences"))]
    if not owners:
        return False
    others = [other for other in workloads if other is not manifest]
    if any((other.kind, other.name) == (owner.get("kind"), owner.get("name")) for owner in owners for other in others):
        return True
    if manifest.kind != "Pod":
        return False
    # Between a Deployment and its Pods stands a ReplicaSet, which is seldom in the input: the labels tell.
    labels = mapping(manifest.get("metadata", "labels")).items()
    return any(
        own and own <= labels
        for other in others
        if other.kind != "Pod" and other.namespace == manifest.namespace
        for own in _pod_labels(other)
    )


def _pod_labels(manifest: Manifest) -> Iterator[ItemsView[str, Any]]:
    """The labels of the pods that a workload makes."""
    if manifest.kind == KSERVE:
        yield kserve_labels(manifest).items()
        return
    for _, template in pod_templates(manifest):
        yield mapping(template.get("spec", "template", "metadata", "labels")).items()


def _engine(manifest: Manifest, pod: Path, labels_at: Path, index: int, world: Sequence[Manifest]) -> Engine:
    container_at = (*pod, "containers", index)
    container = mapping(manifest.get(*container_at))
    environment = read_environment(container, manifest.namespace, world)
    return Engine(
        manifest=manifest,
        pod=pod,
        labels=mapping(manifest.get(*labels_at)),
        labels_at=labels_at,
        container=container_at,
        name=manifest.name,
        line=command_line(container, environment),
        environment=environment,
    )


def _kserve(manifest: Manifest, world: Sequence[Manifest]) -> Iterator[Engine]:
    """KServe runs the container called ``main``; what it leaves out comes from a preset, which starts vLLM."""
    manifest = with_bases(manifest, world)
    pod: Path = ("spec", "template")
    containers = items(manifest.get(*pod, "containers"))
    names = [mapping(container).get("name") for container in containers]
    index = names.index("main") if "main" in names else 0
    engine = replace(_engine(manifest, pod, ("spec", "labels"), index, world), labels=kserve_labels(manifest))
    if engine.get("command"):
        yield engine
        return
    kind = kinds()["sglang" if "sglang" in str(manifest.get("spec", "runtime") or "") else "vllm"]
    extra = engine.environment.words.get("VLLM_ADDITIONAL_ARGS", Word(""))
    words = _additional(extra, engine.environment) if not extra.unknown else (extra,)
    own = [expand(str(text), i, engine.environment.words) for i, text in enumerate(items(engine.get("args")))]
    told = parse(kind, (*words, *own), image_version(kind, engine.get("image")))
    given = dict(told.given)
    stated = {"tensor_parallel": "tensor", "pipeline_parallel": "pipeline", "data_parallel": "data"}
    for option, key in stated.items():
        degree = dig(manifest.value, ("spec", "parallelism", key))
        if isinstance(degree, int):
            given.setdefault(option, Given(degree, FROM_SPEC))
    unknown = told.rest_unknown or (f"{engine.bases} may set more (spec.baseRefs)" if engine.bases else "")
    given.setdefault("model", Given(KSERVE_MODEL_DIR, FROM_SPEC))
    given.setdefault("port", Given(KSERVE_PORT, FROM_SPEC))
    given.setdefault("host", Given("0.0.0.0", FROM_SPEC))  # noqa: S104 - what the preset says, nothing is bound here
    served = manifest.get("spec", "model", "name") or manifest.name
    given.setdefault("served_model_name", Given(str(served), FROM_SPEC))
    yield replace(engine, line=CommandLine(kind, replace(told, given=given, rest_unknown=unknown)))


def _additional(extra: Word, environment: Environment) -> tuple[Word, ...]:
    """The words of VLLM_ADDITIONAL_ARGS, which the preset's start script hands to ``eval``."""
    runs = commands((Word("eval"), Word(f"vllm {extra.text}")), environment.words)
    return tuple(replace(word, source=FROM_VARIABLE + extra.source) for word in runs[0].words[1:])
