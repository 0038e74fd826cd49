"""What a manifest says of an engine that neither a rule reads nor is known to be irrelevant."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

from routegen.audit.engine import KSERVE, Engine
from routegen.audit.facts import Fact
from routegen.audit.gpus import is_gpu
from routegen.audit.reading import items, mapping
from routegen.audit.settings import Kind, public, understood
from routegen.common.positions import Path, render_path

_LONGEST: Final = 100
_OURS: Final = ("VLLM_", "SGLANG_", "SGL_", "LMCACHE_", "NCCL_", "CUDA_", "TORCH_", "PYTORCH_")
"""Variables that engines and their libraries read, even where the start script reads them too."""


Where = Literal["option", "variable", "container", "pod", "spec"]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, which either engine may have."""

    where: Where
    path: Path
    """Of an option or a variable its name; else where it stands below the container, the pod or ``spec``."""

    @property
    def name(self) -> str:
        """For people."""
        match self.where:
            case "option" | "variable":
                return str(self.path[0])
            case "spec":
                return render_path(("spec", *self.path)).removeprefix("$.")
        return f"{render_path(self.path).removeprefix('$.')} of the {self.where}"

    def of(self, engine: Engine) -> Fact:
        """What ``engine`` has here."""
        match self.where:
            case "option":
                fact = engine.other_option(str(self.path[0]))
            case "variable":
                fact = engine.variable(str(self.path[0]))
            case "container":
                fact = engine.fact(*self.path)
            case "pod":
                fact = engine.pod_fact(*self.path)
            case "spec":
                fact = engine.manifest.fact("spec", *self.path)
        if fact.value is None or isinstance(fact.value, bool):
            return fact
        text = fact.value if isinstance(fact.value, str) else json.dumps(fact.value, default=str)
        text = public(str(self.path[-1]), text)
        return replace(fact, text=text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")


def unread(engine: Engine) -> Iterator[Setting]:
    """The settings that ``engine`` has and that aren't understood."""
    yield from (Setting("option", (name,)) for name in _options(engine))
    yield from (Setting("variable", (name,)) for name in _variables(engine))
    yield from _fields("container", engine.get(), "container")
    yield from (Setting("container", path) for path in _resources(engine))
    yield from _fields("pod", engine.pod_get(), "pod")
    yield from _fields("container", engine.get("securityContext"), "security", "securityContext")
    yield from _fields("pod", engine.pod_get("securityContext"), "security", "securityContext")
    if engine.manifest.kind == KSERVE:
        yield from _fields("spec", engine.manifest.get("spec"), "llminferenceservice")


def _fields(where: Where, value: object, kind: Kind, *above: str) -> Iterator[Setting]:
    return (Setting(where, (*above, str(name))) for name in mapping(value) if not understood(kind, str(name)))


def _options(engine: Engine) -> Iterator[str]:
    irrelevant = engine.line.kind.irrelevant if engine.line.kind else ()
    return (name for name in engine.line.other if name.lstrip("-") not in irrelevant)


def _variables(engine: Engine) -> Iterator[str]:
    texts = [str(text) for name in ("command", "args") for text in items(engine.get(name))]
    script = "\n".join(texts)
    for name in {**engine.environment.words, **engine.line.variables}:
        used = re.search(rf"\$[({{]?{re.escape(name)}\b", script)  # then the command's words say what comes of it
        if not understood("variables", name) and (not used or name.startswith(_OURS)):
            yield name


def _resources(engine: Engine) -> Iterator[Path]:
    """Resources beside CPU, memory and GPUs: fast networks, huge pages, disk."""
    seen = {"cpu", "memory"}
    for section in ("limits", "requests"):
        for name in mapping(engine.get("resources", section)):
            if name not in seen and not is_gpu(name):
                seen.add(name)
                yield ("resources", section, name)
