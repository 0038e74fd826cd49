"""A container's environment variables, as far as manifests tell them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from routegen.audit.reading import Manifest, items, mapping
from routegen.audit.shell import Word

_TEMPLATE = re.compile(r"\{\{.*\}\}", re.DOTALL)
_REFERENCE = re.compile(r"\$(\$|\([A-Za-z_][\w.-]*\))")


@dataclass(frozen=True)
class Environment:
    """The variables of one container."""

    words: Mapping[str, Word]
    """``Word.source`` is the index in the container's ``env`` list, -1 where it comes from ``envFrom``."""
    open: str = ""
    """Why variables that are not listed may be set after all; empty where the manifest sets no others."""


def read_environment(container: Mapping[str, object], namespace: str, world: Sequence[Manifest]) -> Environment:
    """The variables that Kubernetes sets; what the image itself sets is not known here."""
    words: dict[str, Word] = {}
    sources = items(container.get("envFrom"))
    reasons = [reason for source in sources for reason in _from(source, namespace, world, words)]
    for index, entry in enumerate(items(container.get("env"))):
        name = mapping(entry).get("name")
        if isinstance(name, str):
            words[name] = _one(mapping(entry), index, namespace, world, words)
    return Environment(words, reasons[0] if reasons else "")


def expand(text: str, source: int, variables: Mapping[str, Word]) -> Word:
    """Kubernetes' own ``$(NAME)``; ``$$`` is a dollar sign, and a name that is not set stays as it is written."""
    unknown = ""

    def replace(match: re.Match[str]) -> str:
        nonlocal unknown
        if match[1] == "$":
            return "$"
        word = variables.get(match[1][1:-1])
        if word is None:
            return match[0]
        unknown = unknown or word.unknown
        return match[0] if word.unknown else word.text

    if not unknown and _TEMPLATE.search(text):
        unknown = "a template fills it in, such as Helm or KServe"
    return Word(_REFERENCE.sub(replace, text), unknown, source)


def _one(
    entry: Mapping[str, object], index: int, namespace: str, world: Sequence[Manifest], before: Mapping[str, Word]
) -> Word:
    origin = mapping(entry.get("valueFrom"))
    if not origin:
        value = entry.get("value")
        return expand("" if value is None else str(value), index, before)
    if reference := mapping(origin.get("configMapKeyRef")):
        name, key = str(reference.get("name", "")), str(reference.get("key", ""))
        data = _config_map(name, namespace, world)
        if data is None:
            return Word("", f"it comes from the ConfigMap {name}, which is not in the input", index)
        if key not in data:
            return Word("", f"the ConfigMap {name} has no key {key}", index)
        return Word(str(data[key]), "", index)
    kind = "a Secret" if "secretKeyRef" in origin else "the running pod"
    return Word("", f"it comes from {kind}", index)


def _from(source: object, namespace: str, world: Sequence[Manifest], words: dict[str, Word]) -> Iterator[str]:
    reference = mapping(mapping(source).get("configMapRef"))
    prefix = str(mapping(source).get("prefix") or "")
    name = str(reference.get("name", ""))
    data = _config_map(name, namespace, world) if reference else None
    if data is not None:
        words.update({prefix + str(key): Word(str(value), "", -1) for key, value in data.items()})
    elif reference:
        yield f"the ConfigMap {name} sets variables and is not in the input"
    else:
        yield "a Secret sets variables"


def _config_map(name: str, namespace: str, world: Sequence[Manifest]) -> Mapping[str, object] | None:
    for manifest in world:
        if manifest.kind == "ConfigMap" and manifest.name == name and manifest.namespace in {namespace, ""}:
            return mapping(manifest.get("data"))
    return None
