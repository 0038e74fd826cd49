"""What a manifest says of an engine that neither a rule reads nor is known to be irrelevant."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

from routegen.audit.compose import LEFT
from routegen.audit.engine import KSERVE, Engine
from routegen.audit.facts import Fact
from routegen.audit.gpus import is_gpu
from routegen.audit.reading import items, mapping
from routegen.audit.settings import Kind, public, redacted, understood
from routegen.common.positions import Path, render_path

_LONGEST: Final = 100
_OURS: Final = ("VLLM_", "SGLANG_", "SGL_", "LMCACHE_", "NCCL_", "CUDA_", "TORCH_", "PYTORCH_")
"""Variables that engines and their libraries read, even where the start script reads them too."""


Where = Literal["option", "known", "variable", "container", "pod", "spec"]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, which either engine may have."""

    where: Where
    path: Path
    """Of a flag or a variable its name, of a known option its name and flag; else where it stands below the container,
    the pod or ``spec``."""

    @property
    def name(self) -> str:
        """For people."""
        match self.where:
            case "option" | "known" | "variable":
                return str(self.path[-1])
            case "spec":
                path = self.path[1:] if self.path[0] == LEFT else ("spec", *self.path)
                return render_path(path).removeprefix("$.")
        return f"{render_path(self.path).removeprefix('$.')} of the {self.where}"

    def of(self, engine: Engine) -> Fact:
        """What ``engine`` has here."""
        match self.where:
            case "option":
                fact = engine.other_option(str(self.path[0]))
            case "known":
                fact = engine.option(str(self.path[0]))
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
        text = fact.value if isinstance(fact.value, str) else json.dumps(redacted(fact.value), default=str)
        text = public(str(self.path[-1]), text)
        return replace(fact, text=text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")

    def part_of(self, *engines: Engine) -> Iterator[str]:
        """The options that it is a detail of."""
        for engine in engines if self.where == "option" else ():
            given = engine.line.told.other.get(str(self.path[0]))
            if given is not None:
                yield given.part_of


def unread(engine: Engine, other: Engine) -> Iterator[Setting]:
    """The settings that ``engine`` has and that aren't understood, beside ``other``."""
    yield from _partly(engine, other)
    yield from (Setting("option", (name,)) for name in _options(engine))
    yield from (Setting("variable", (name,)) for name in _variables(engine))
    yield from _fields("container", engine.get(), "container")
    yield from (Setting("container", path) for path in _resources(engine))
    yield from _fields("pod", engine.pod_get(), "pod")
    yield from _fields("container", engine.get("securityContext"), "security", "securityContext")
    yield from _fields("pod", engine.pod_get("securityContext"), "security", "securityContext")
    yield from _fields("spec", engine.manifest.get("spec", LEFT) if engine.manifest.parts else None, "left", LEFT)
    if engine.manifest.kind == KSERVE:
        yield from _fields("spec", engine.manifest.get("spec"), "llminferenceservice")


def _partly(engine: Engine, other: Engine) -> Iterator[Setting]:
    """What rules read without looking whether it differs."""
    kind = engine.line.kind
    for name in engine.line.told.given if kind is not None else ():
        option = kind.options[name] if kind is not None else None
        if option is not None and option.partly and (option.partly == "any" or kind is other.line.kind):
            yield Setting("known", (name, option.spelling))


def _fields(where: Where, value: object, kind: Kind, *above: str) -> Iterator[Setting]:
    return (Setting(where, (*above, str(name))) for name in mapping(value) if not understood(kind, str(name)))


def _options(engine: Engine) -> Iterator[str]:
    """What is no default and may matter."""
    kind = engine.line.kind
    for name, given in engine.line.told.other.items():
        plain = name.lstrip("-")
        flag = kind.by_flag.get(plain) if kind is not None else None
        usual = kind is not None and flag is not None and kind.is_default(flag, given.value, engine.version)
        if not usual and not (kind is not None and kind.is_irrelevant(plain)):
            yield name


def _variables(engine: Engine) -> Iterator[str]:
    texts = [str(text) for name in ("command", "args") for text in items(engine.get(name))]
    script = "\n".join(texts)
    kind = engine.line.kind
    for name, word in {**engine.environment.words, **engine.line.variables}.items():
        if kind is not None and not word.unknown and kind.is_usual(name, word.text, engine.version):
            continue
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
