"""The engines among the objects: which container runs one, and what each part of its manifest says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from routegen.audit.arguments import CommandLine, Given, find_engine, parse
from routegen.audit.engines import EngineKind, Version, kinds, parse_version
from routegen.audit.environment import Environment, expand, read_environment
from routegen.audit.findings import Fact, Place
from routegen.audit.reading import Manifest, dig, items, mapping
from routegen.audit.shell import Run, Word, commands
from routegen.positions import Path

KSERVE = "LLMInferenceService"
KSERVE_MODEL_DIR = "/mnt/models"
"""Where KServe's storage initializer puts ``spec.model.uri``."""
KSERVE_PORT = 8000
"""The port that KServe's Services lead to; it can't be changed (KServe v0.20, workload.go)."""
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


@dataclass(frozen=True)
class Engine:
    """One engine: a container of a workload that starts vLLM, SGLang, or something that can't be read."""

    manifest: Manifest
    pod: Path
    """Where the PodSpec stands in the manifest."""
    labels: Mapping[str, Any]
    """The pods' labels."""
    labels_at: Path
    container: Path
    name: str
    """Unique among the engines of one input; what ``--pair`` takes."""
    line: CommandLine
    environment: Environment

    @property
    def preset(self) -> bool:
        """Whether KServe adds what the container leaves out from its preset, which the input doesn't hold."""
        return self.manifest.kind == KSERVE

    @property
    def title(self) -> str:
        """The engine's name for people: ``vLLM (Deployment inference/a)``."""
        return f"{self.line.kind.title if self.line.kind else 'an unknown engine'} ({self.manifest.title})"

    def get(self, *path: str | int) -> Any:
        """A value of the container."""
        return self.manifest.get(*self.container, *path)

    def pod_get(self, *path: str | int) -> Any:
        """A value of the PodSpec."""
        return self.manifest.get(*self.pod, *path)

    def fact(self, *path: str | int, default: Any = None, note: str = "") -> Fact:
        """A value of the container as a fact."""
        fact = self.manifest.fact(*self.container, *path, default=default, note=note)
        if self.preset and fact.state == "default" and path[0] in _PRESET_FIELDS:
            return preset_fact(fact.place)
        return fact

    def pod_fact(self, *path: str | int, default: Any = None, note: str = "") -> Fact:
        """A value of the PodSpec as a fact."""
        return self.manifest.fact(*self.pod, *path, default=default, note=note)

    def place(self, *path: str | int) -> Place:
        """Where a value of the container stands."""
        return self.manifest.place(*self.container, *path)

    @property
    def image(self) -> Fact:
        """The image's name."""
        return self.fact("image")

    @property
    def version(self) -> Version | None:
        """The engine's version by the image's tag."""
        image = self.get("image")
        if self.line.kind is None or not isinstance(image, str) or not _is_image_of(self.line.kind, image):
            return None
        return parse_version(split_image(image)[1])

    def option(self, name: str) -> Fact:
        """What the engine is told about ``name`` (an option of its .toml), its default where it is told nothing."""
        kind = self.line.kind
        place = self.place("args")
        if kind is None:
            return Fact("unknown", None, place, "the engine's command can't be read", whole=True)
        given = self.line.given.get(name)
        if given is not None:
            place = self._place_of(given)
            if given.unknown:
                return Fact("unknown", None, place, given.unknown)
            return Fact("set", given.value, place)
        option = kind.options.get(name)
        if option is None:
            return Fact("default", None, place, f"{kind.title} has no such option")
        if self.line.rest_unknown:
            return Fact("unknown", None, place, self.line.rest_unknown, whole=True)
        default = option.default(self.version)
        if default is None:
            note = f"{kind.title}'s default for {option.spelling} differs by version, and the image tells none"
            return Fact("unknown", None, place, note, token=f"{kind.name}: version")
        if default.depends:
            shown = default.depends.partition(": ")[2] or default.depends
            note = f"not set; {kind.title}'s default depends on {shown}"
            return Fact("unknown", None, place, note, token=default.depends)
        return Fact("default", default.value, place, f"{kind.title}'s default")

    def variable(self, name: str) -> Fact:
        """An environment variable; ``None`` where nothing sets it."""
        word = self.line.variables.get(name) or self.environment.words.get(name)
        if word is None:
            reason, place = self.environment.open, self.place("env")
            return self._unknown(place, reason) if reason else Fact("default", None, place)
        place = self.place("env", word.source, "value") if word.source >= 0 else self.place("envFrom")
        return self._unknown(place, word.unknown) if word.unknown else Fact("set", word.text, place)

    def _place_of(self, given: Given) -> Place:
        if given.source == _SPEC:
            return self.manifest.place("spec")
        head = len(items(self.get("command")))
        path: Path = ("command", given.source) if given.source < head else ("args", given.source - head)
        if given.source >= _VARIABLE:
            path = ("env", given.source - _VARIABLE, "value")
        return self.place(*path)

    @staticmethod
    def _unknown(place: Place, note: str) -> Fact:
        return Fact("unknown", None, place, note)


_PRESET_FIELDS = {
    "image",
    "imagePullPolicy",
    "livenessProbe",
    "ports",
    "readinessProbe",
    "securityContext",
    "startupProbe",
}
"""What KServe's preset says of the container ``main`` (KServe v0.20, config/llmisvcconfig)."""
_SPEC = -2
_VARIABLE = 1_000_000
"""Added to a variable's index to mark words of KServe's VLLM_ADDITIONAL_ARGS."""


def preset_fact(place: Place) -> Fact:
    """A fact that KServe's preset decides: unknown, and the same for both engines."""
    return Fact("unknown", None, place, "KServe's preset sets it", token="KServe's preset")  # noqa: S106 - no secret


def find_engines(world: Sequence[Manifest]) -> list[Engine]:
    """Every container that runs an engine, in the input's order."""
    found = [engine for manifest in world for engine in _engines(manifest, world)]
    names = [engine.name for engine in found]
    return [
        engine if names.count(engine.name) == 1 else replace(engine, name=f"{engine.manifest.title}:{index}")
        for index, engine in enumerate(found)
    ]


def workload_engines(manifest: Manifest, world: Sequence[Manifest]) -> list[Engine]:
    """The engines of a workload that a user named, its first container where none is recognised."""
    return list(_engines(manifest, world)) or list(_engines(manifest, world, any_command=True))[:1]


def split_image(image: str) -> tuple[str, str, str]:
    """Repository, tag and digest; the latter two empty where they are missing."""
    rest, _, digest = image.partition("@")
    head, _, last = rest.rpartition("/")
    name, _, tag = last.partition(":")
    return (f"{head}/{name}" if head else name), tag, digest


def _is_image_of(kind: EngineKind, image: str) -> bool:
    name = split_image(image)[0].rpartition("/")[2].lower()
    return any(re.match(rf"{re.escape(own)}(?:$|[^a-z])", name) for own in kind.images)


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
        return _started(kind, run, first, certain=len(starts) == 1 and not run.conditional)
    image = str(container.get("image", ""))
    name = split_image(image)[0].rpartition("/")[2]
    for kind in kinds().values():
        if name in kind.entrypoint_images and not container.get("command"):
            return _started(kind, Run(words, {}), 0, certain=True)
        if _is_image_of(kind, image):
            return CommandLine(kind, rest_unknown="the command that starts the engine can't be read")
    return CommandLine(None)


def _started(kind: EngineKind, run: Run, first: int, *, certain: bool) -> CommandLine:
    given, unknown = parse(kind, run.words[first:])
    if not certain:
        return CommandLine(kind, rest_unknown="the start script decides between commands when it runs")
    if "config_file" in given:
        unknown = unknown or f"--config reads more options from {given['config_file'].value}"
    front = tuple(word.text for word in run.words[:first])
    return CommandLine(kind, given, unknown, front, run.variables)


def _kserve(manifest: Manifest, world: Sequence[Manifest]) -> Iterator[Engine]:
    """KServe runs the container called ``main``; what it leaves out comes from a preset, which starts vLLM."""
    pod: Path = ("spec", "template")
    containers = items(manifest.get(*pod, "containers"))
    names = [mapping(container).get("name") for container in containers]
    index = names.index("main") if "main" in names else 0
    engine = replace(_engine(manifest, pod, ("spec", "labels"), index, world), labels=_kserve_labels(manifest))
    if engine.get("command"):
        yield engine
        return
    kind = kinds()["sglang" if "sglang" in str(manifest.get("spec", "runtime") or "") else "vllm"]
    extra = engine.environment.words.get("VLLM_ADDITIONAL_ARGS", Word(""))
    words = [Word(text, extra.unknown, _VARIABLE + extra.source) for text in (extra.text or " ").split()]
    words += [Word("", extra.unknown)] if extra.unknown else []
    own = [expand(str(text), i, engine.environment.words) for i, text in enumerate(items(engine.get("args")))]
    given, unknown = parse(kind, (*words, *own))
    stated = {"tensor_parallel": "tensor", "pipeline_parallel": "pipeline", "data_parallel": "data"}
    for option, key in stated.items():
        degree = dig(manifest.value, ("spec", "parallelism", key))
        if isinstance(degree, int):
            given.setdefault(option, Given(degree, _SPEC))
    given.setdefault("model", Given(KSERVE_MODEL_DIR, _SPEC))
    given.setdefault("port", Given(KSERVE_PORT, _SPEC))
    given.setdefault("host", Given("0.0.0.0", _SPEC))  # noqa: S104 - what the preset says, nothing is bound here
    served = manifest.get("spec", "model", "name") or manifest.name
    given.setdefault("served_model_name", Given(str(served), _SPEC))
    yield replace(engine, line=CommandLine(kind, given, unknown))


def _kserve_labels(manifest: Manifest) -> Mapping[str, Any]:
    """The labels that KServe puts on the pods, under those of ``spec.labels``."""
    return {
        "app.kubernetes.io/component": "llminferenceservice-workload",
        "app.kubernetes.io/name": manifest.name,
        "app.kubernetes.io/part-of": "llminferenceservice",
        "kserve.io/component": "workload",
        **mapping(manifest.get("spec", "labels")),
    }
