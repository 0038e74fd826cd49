"""The engines among the objects: which containers run one."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from routegen.audit.arguments import CommandLine, find_engine
from routegen.audit.engine import (
    FROM_SPEC,
    FROM_VARIABLE,
    KSERVE,
    KSERVE_MODEL_DIR,
    KSERVE_PORT,
    Engine,
    image_version,
    is_image_of,
    kserve_labels,
    split_image,
)
from routegen.audit.engines import EngineKind, Version, kinds
from routegen.audit.environment import Environment, expand, read_environment
from routegen.audit.options import Given, Parsed, parse
from routegen.audit.reading import Manifest, dig, items, mapping
from routegen.audit.shell import Run, Word, commands
from routegen.common.positions import Path

_TEMPLATES: Mapping[str, tuple[Path, ...]] = {
    "Pod": ((),),
    "Deployment": (("spec", "template"),),
    "StatefulSet": (("spec", "template"),),
    "DaemonSet": (("spec", "template"),),
    "LeaderWorkerSet": (
        ("spec", "leaderWorkerTemplate", "leaderTemplate"),
        ("spec", "leaderWorkerTemplate", "workerTemplate"),
    ),
}


def find_engines(world: Sequence[Manifest]) -> list[Engine]:
    """Every container that runs an engine, in the input's order."""
    workloads = [manifest for manifest in world if manifest.kind in {KSERVE, *_TEMPLATES}]
    own = [manifest for manifest in workloads if not _made_by_another(manifest, workloads)]
    found = [engine for manifest in own for engine in _engines(manifest, world)]
    names = [engine.name for engine in found]
    return [
        engine if names.count(engine.name) == 1 else replace(engine, name=f"{engine.manifest.title}:{index}")
        for index, engine in enumerate(found)
    ]


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


def workload_engines(manifest: Manifest, world: Sequence[Manifest]) -> list[Engine]:
    """The engines of a workload that a user named, its first container where none is recognised."""
    return list(_engines(manifest, world)) or list(_engines(manifest, world, any_command=True))[:1]


def _engines(manifest: Manifest, world: Sequence[Manifest], *, any_command: bool = False) -> Iterator[Engine]:
    if manifest.kind == KSERVE:
        yield from _kserve(manifest, world)
        return
    for template in _TEMPLATES.get(manifest.kind, ()):
        containers = items(manifest.get(*template, "spec", "containers"))
        engines = [
            _engine(manifest, (*template, "spec"), (*template, "metadata", "labels"), index, world)
            for index in range(len(containers))
        ]
        known = [engine for engine in engines if engine.line.kind is not None or any_command]
        for engine in known:
            yield engine if len(known) == 1 else replace(engine, name=f"{engine.name}/{engine.get('name')}")
        if known:
            return


def _pod_labels(manifest: Manifest) -> Iterator[ItemsView[str, Any]]:
    """The labels of the pods that a workload makes."""
    if manifest.kind == KSERVE:
        yield kserve_labels(manifest).items()
    for template in _TEMPLATES.get(manifest.kind, ()):
        yield mapping(manifest.get(*template, "metadata", "labels")).items()


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
        line=_command_line(container, environment),
        environment=environment,
    )


def _command_line(container: Mapping[str, Any], environment: Environment) -> CommandLine:
    texts = [*items(container.get("command")), *items(container.get("args"))]
    words = tuple(expand(str(text), index, environment.words) for index, text in enumerate(texts))
    runs = commands(words, environment.words)
    starts = [(run, found) for run in runs if (found := find_engine(run.words)) is not None]
    if starts:
        run, (kind, first) = starts[0]
        certain = len(starts) == 1 and not run.conditional
        return _started(kind, run, first, image_version(kind, container.get("image")), certain=certain)
    image = str(container.get("image", ""))
    name = split_image(image)[0].rpartition("/")[2]
    for kind in kinds().values():
        if name in kind.entrypoint_images and not container.get("command"):
            return _started(kind, Run(words, {}), 0, image_version(kind, image), certain=True)
        if is_image_of(kind, image):
            return CommandLine(kind, Parsed(rest_unknown="the command that starts the engine can't be read"))
    return CommandLine(None)


def _started(kind: EngineKind, run: Run, first: int, version: Version | None, *, certain: bool) -> CommandLine:
    told = parse(kind, run.words[first:], version)
    if not certain:
        return CommandLine(kind, Parsed(rest_unknown="the start script decides between commands when it runs"))
    if "config_file" in told.given:
        note = f"--config reads more options from {told.given['config_file'].value}"
        told = replace(told, rest_unknown=told.rest_unknown or note)
    return CommandLine(kind, told, tuple(word.text for word in run.words[:first]), run.variables)


def _kserve(manifest: Manifest, world: Sequence[Manifest]) -> Iterator[Engine]:
    """KServe runs the container called ``main``; what it leaves out comes from a preset, which starts vLLM."""
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
