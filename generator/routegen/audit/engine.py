"""One engine: a container that runs vLLM or SGLang, and what its manifest says of it, fact by fact."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from routegen.audit.arguments import CommandLine
from routegen.audit.engines import EngineKind, Version, parse_version
from routegen.audit.environment import Environment
from routegen.audit.facts import Fact, Place
from routegen.audit.options import Given
from routegen.audit.reading import Manifest, items, mapping
from routegen.common.positions import Path

KSERVE = "LLMInferenceService"
DYNAMO = "DynamoGraphDeployment"
"""NVIDIA's; its workers listen to no client, and its operator adds their probes."""
KSERVE_MODEL_DIR = "/mnt/models"
"""Where KServe's storage initializer puts ``spec.model.uri``."""
KSERVE_PORT = 8000
"""The port that KServe's Services lead to; it can't be changed (KServe v0.20, workload.go)."""
KSERVE_PRESET = "kserve-config-llm-template"
"""The LLMInferenceServiceConfig that KServe puts under every LLMInferenceService of one node."""
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
FROM_SPEC: Final = -2
"""``Given.source`` of what an LLMInferenceService's spec says outside of the container."""
FROM_VARIABLE: Final = 1_000_000
"""Added to a variable's index to mark words of KServe's VLLM_ADDITIONAL_ARGS."""


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
    role: str = ""
    """Of several pods that one object makes, which this is: ``prefill``, ``decode``, …"""
    prefilled: bool = False
    """Whether other pods of the same object read prompts for it."""
    missing: str = ""
    """Why what isn't written may be said elsewhere: what it is made over isn't in the input."""

    @property
    def preset(self) -> bool:
        """Whether KServe adds what the container leaves out from its preset, which the input doesn't hold."""
        return self.manifest.kind == KSERVE and all(part.manifest.name != KSERVE_PRESET for part in self.manifest.parts)

    @property
    def bases(self) -> str:
        """The LLMInferenceServiceConfigs that may set anything that is not written (``spec.baseRefs``), as one text."""
        references = items(self.manifest.get("spec", "baseRefs")) if self.preset else []
        return ", ".join(str(mapping(reference).get("name", "")) for reference in references)

    @property
    def pods_a_replica(self) -> int:
        """How many pods, taken to be alike, run one engine: a LeaderWorkerSet's group, or as many as ``--nnodes``."""
        size = self.manifest.get("spec", "leaderWorkerTemplate", "size")
        nodes = size if self.manifest.kind == "LeaderWorkerSet" else self.option("node_count").value
        return nodes if isinstance(nodes, int) and nodes > 0 else 1

    @property
    def alone(self) -> bool:
        """Whether no other container runs in the pod: no sidecar that could take the engine's requests."""
        return self.sidecars == 0

    @property
    def sidecars(self) -> int:
        """How many other containers run in the pod, init containers that keep running included."""
        starting = [mapping(container) for container in items(self.pod_get("initContainers"))]
        staying = len([container for container in starting if container.get("restartPolicy") == "Always"])
        return max(0, len(items(self.pod_get("containers"))) - 1) + staying

    @property
    def title(self) -> str:
        """The engine's name for people: ``vLLM (Deployment inference/a)``."""
        return f"{self.line.kind.title if self.line.kind else 'an unknown engine'} ({self.manifest.title})"

    @property
    def read(self) -> str:
        """What was read, where: ``vLLM 0.33.0 (Deployment inference/a), a.yaml:3``."""
        title = self.line.kind.title if self.line.kind else "an unknown engine"
        version = ".".join(map(str, self.version)) if self.version else "of unknown version"
        place = self.manifest.written.place("kind")
        where = f"{place.file}:{place.line}" if place.line else place.file
        return f"{title} {version} ({self.manifest.title}), {where}"

    def get(self, *path: str | int) -> Any:
        """A value of the container."""
        return self.manifest.get(*self.container, *path)

    def pod_get(self, *path: str | int) -> Any:
        """A value of the PodSpec."""
        return self.manifest.get(*self.pod, *path)

    def fact(self, *path: str | int, default: Any = None, note: str = "") -> Fact:
        """A value of the container as a fact."""
        fact = self.manifest.fact(*self.container, *path, default=default, note=note)
        if fact.state == "default" and (self.bases or self.missing):
            return self._from_bases(fact.place)
        if self.manifest.kind == DYNAMO and fact.state == "default" and path[0] in _PRESET_FIELDS:
            return Fact("unknown", None, fact.place, "Dynamo's operator sets it", token="Dynamo's operator")  # noqa: S106 - no secret
        if self.preset and fact.state == "default" and path[0] in _PRESET_FIELDS:
            return preset_fact(fact.place)
        return fact

    def pod_fact(self, *path: str | int, default: Any = None, note: str = "") -> Fact:
        """A value of the PodSpec as a fact."""
        fact = self.manifest.fact(*self.pod, *path, default=default, note=note)
        return self._from_bases(fact.place) if fact.state == "default" and (self.bases or self.missing) else fact

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
        if self.line.kind is None:
            return None
        return image_version(self.line.kind, image)

    def option(self, name: str) -> Fact:
        """What the engine is told about ``name`` (an option of its .toml), its default where it is told nothing."""
        kind = self.line.kind
        place = self.place("args")
        if kind is None:
            return Fact("unknown", None, place, "the engine's command can't be read", whole=True)
        given = self.line.told.given.get(name)
        if given is not None:
            place = self._place_of(given)
            if given.unknown:
                return Fact("unknown", None, place, given.unknown)
            depends = kind.options[name].open.get(given.value) if isinstance(given.value, str) else None
            if depends is not None:
                return Fact("unknown", None, place, f"{given.value}: {depends}", token=depends)
            return Fact("set", given.value, place)
        option = kind.options.get(name)
        if option is None:
            return Fact("default", None, place, f"{kind.title} has no such option")
        if self.line.told.rest_unknown:
            return Fact("unknown", None, place, self.line.told.rest_unknown, whole=True)
        default = kind.default(name, self.version)
        if default is None:
            note = f"{kind.title}'s default for {option.spelling} differs by version, and the image tells none"
            return Fact("unknown", None, place, note, token=f"{kind.name}: version")
        if default.depends:
            shown = default.depends.partition(": ")[2] or default.depends
            note = f"not set; {kind.title}'s default depends on {shown}"
            return Fact("unknown", None, place, note, token=default.depends)
        return Fact("default", default.value, place, f"{kind.title}'s default")

    def other_option(self, flag: str) -> Fact:
        """What the engine is told by a flag that no rule reads, in its parser's spelling."""
        given = self.line.told.other.get(flag)
        if given is not None:
            place = self._place_of(given)
            note = self._stranger(flag)
            return self._unknown(place, given.unknown) if given.unknown else Fact("set", given.value, place, note)
        if self.line.told.rest_unknown:
            return Fact("unknown", None, self.place("args"), self.line.told.rest_unknown, whole=True)
        return Fact("default", None, self.place("args"))

    def _stranger(self, flag: str) -> str:
        """That the engine's parser has no such flag, where that is known."""
        kind = self.line.kind
        if kind is None or not kind.table.has(self.version) or flag.lstrip("-").partition(".")[0] in kind.by_flag:
            return ""
        return f"{kind.title} {'.'.join(map(str, self.version or ()))} has no such option"

    def refused(self) -> Iterator[Fact]:
        """The arguments with which the engine doesn't start, each with the reason."""
        for given in self.line.told.refused:
            yield Fact("set", given.value, self._place_of(given), given.unknown)

    def variable(self, name: str) -> Fact:
        """An environment variable; ``None`` where nothing sets it."""
        word = self.line.variables.get(name) or self.environment.words.get(name)
        if word is None:
            reason, place = self.environment.open, self.place("env")
            return Fact("unknown", None, place, reason, whole=True) if reason else Fact("default", None, place)
        place = self.place("env", word.source, "value") if word.source >= 0 else self.place("envFrom")
        return self._unknown(place, word.unknown) if word.unknown else Fact("set", word.text, place)

    def _place_of(self, given: Given) -> Place:
        if given.source == FROM_SPEC:
            return self.manifest.place("spec")
        head = len(items(self.get("command")))
        path: Path = ("command", given.source) if given.source < head else ("args", given.source - head)
        if given.source >= FROM_VARIABLE:
            path = ("env", given.source - FROM_VARIABLE, "value")
        return self.place(*path)

    def _from_bases(self, place: Place) -> Fact:
        reason = self.missing or f"{self.bases} may set it (spec.baseRefs)"
        return Fact("unknown", None, place, reason, whole=True)

    @staticmethod
    def _unknown(place: Place, note: str) -> Fact:
        return Fact("unknown", None, place, note)


def preset_fact(place: Place) -> Fact:
    """A fact that KServe's preset decides: unknown, and the same for both engines."""
    return Fact("unknown", None, place, "KServe's preset sets it", token="KServe's preset")  # noqa: S106 - no secret


def kserve_labels(manifest: Manifest, *, own: bool = True) -> Mapping[str, Any]:
    """The labels that KServe puts on the pods of an LLMInferenceService, under those of ``spec.labels`` (``own``).

    Without the latter they are what the InferencePool that KServe makes selects by.
    """
    selector = {
        "app.kubernetes.io/name": manifest.name,
        "app.kubernetes.io/part-of": "llminferenceservice",
        "kserve.io/component": "workload",
    }
    return {**selector, **mapping(manifest.get("spec", "labels"))} if own else selector


def split_image(image: str) -> tuple[str, str, str]:
    """Repository, tag and digest; the latter two empty where they are missing."""
    rest, _, digest = image.partition("@")
    head, _, last = rest.rpartition("/")
    name, _, tag = last.partition(":")
    return (f"{head}/{name}" if head else name), tag, digest


def image_version(kind: EngineKind, image: object) -> Version | None:
    """The engine's version by the image's tag, where the image's name is the engine's own."""
    if not isinstance(image, str) or not is_image_of(kind, image) or _matches(image, kind.foreign, 2):
        return None
    return parse_version(split_image(image)[1])


def is_image_of(kind: EngineKind, image: str) -> bool:
    """Whether the image's name is that of the engine, whoever built it."""
    return any(_matches(image, (own,), own.count("/") + 1) for own in kind.images)


def _matches(image: str, patterns: Sequence[str], names: int) -> bool:
    """Whether the last ``names`` names of the image's repository match one of ``patterns``."""
    tail = "/".join(split_image(image)[0].lower().split("/")[-names:])
    return any(fnmatchcase(tail, pattern) for pattern in patterns)
