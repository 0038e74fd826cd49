"""Manifests as objects that know where they come from: files, directories, stdin, Lists."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from routegen.audit.facts import Fact, Place
from routegen.common.files import unreadable
from routegen.common.positions import Document, Path, read_documents, render_path
from routegen.common.problems import InputError, Problem

_SUFFIXES = {".yaml", ".yml", ".json"}


@dataclass(frozen=True)
class Manifest:
    """One Kubernetes object: a document, or an item of a List."""

    document: Document
    base: Path
    value: Mapping[str, Any]
    parts: tuple[Part, ...] = ()
    """Where the pieces of a composed object really stand; empty for one that is as it is written."""
    source: Manifest | None = None
    """What a composed object was made of; ``None`` for one that is as it is written."""

    @property
    def written(self) -> Manifest:
        """The object as it stands in the input."""
        return self.source or self

    @property
    def kind(self) -> str:
        """Such as ``Deployment``; the group is not looked at, the kinds we read are all unlike."""
        return str(self.value.get("kind", ""))

    @property
    def name(self) -> str:
        """``metadata.name``, or what ``generateName`` begins with."""
        metadata = mapping(self.value.get("metadata"))
        return str(metadata.get("name") or metadata.get("generateName") or "")

    @property
    def namespace(self) -> str:
        """``metadata.namespace``, or empty where the caller's context decides."""
        return str(mapping(self.value.get("metadata")).get("namespace") or "")

    @property
    def title(self) -> str:
        """Such as ``Deployment inference/vllm``."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"

    def get(self, *path: str | int) -> Any:
        """The value at ``path``, ``None`` where it leads nowhere."""
        return dig(self.value, path)

    def place(self, *path: str | int) -> Place:
        """Where ``path`` stands, or where its nearest ancestor does."""
        for part in sorted(self.parts, key=lambda one: -len(one.at)):
            if path[: len(part.at)] == part.at:
                return part.manifest.place(*part.path, *path[len(part.at) :])
        full = (*self.base, *path)
        return Place(self.title, self.document.file, self.document.line(full), render_path(full))

    def fact(self, *path: str | int, default: Any = None, note: str = "") -> Fact:
        """The value at ``path`` as a fact; ``default`` where nothing is written."""
        value = self.get(*path)
        if value is None:
            return Fact("default", default, self.place(*path), note)
        return Fact("set", value, self.place(*path))


@dataclass(frozen=True)
class Part:
    """A piece of a composed object, and where it really stands."""

    at: Path
    """In the composed object."""
    manifest: Manifest
    path: Path
    """In the object that it comes from."""


def dig(value: Any, path: Iterable[str | int]) -> Any:
    """The value at ``path`` under ``value``, ``None`` where it leads nowhere."""
    for part in path:
        if isinstance(part, str) and isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(part, int) and isinstance(value, list) and 0 <= part < len(value):
            value = value[part]
        else:
            return None
    return value


_YES = {"y", "yes", "on", "true"}


def is_on(value: Any) -> bool:
    """Whether ``value`` is true for kubectl, which still reads YAML 1.1: ``yes`` and ``on`` are booleans there."""
    return value is True or (isinstance(value, str) and value.lower() in _YES)


def mapping(value: Any) -> Mapping[str, Any]:
    """``value`` where it is a mapping, else an empty one: manifests may hold anything anywhere."""
    return value if isinstance(value, Mapping) else {}


def items(value: Any) -> list[Any]:
    """``value`` where it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def read_manifests(paths: Iterable[str], templates: list[Problem] | None = None) -> list[Manifest]:
    """Every object in files, directories (searched through) and stdin (``-``); a file that is named twice is read once.

    :param templates: learns which files of directories are templates (Helm's) and were passed over; a template that is
        named itself is an error.
    :raises InputError: something isn't text or YAML; names each file and line.
    :raises UserError: there is no such file, or it can't be read.
    """
    manifests: list[Manifest] = []
    problems: list[Problem] = []
    seen: set[FilePath] = set()
    for path in paths:
        for file, text in _texts(path, seen, problems):
            found, wrong = parse_manifests(text, file)
            if wrong and "{{" in text and templates is not None and path not in {file, "-"}:
                templates.append(wrong[-1])
                continue
            manifests += found
            problems += wrong
    if problems:
        raise InputError(problems)
    return manifests


def parse_manifests(text: str, file: str) -> tuple[list[Manifest], list[Problem]]:
    """The objects in one text, and what is wrong with it."""
    documents, problems = read_documents(text, file, merge_keys=True)
    if problems and "{{" in text:
        hint = "it looks like a template; give the audit what `helm template` or `kubectl kustomize` prints"
        problems.append(Problem(file, text.count("\n", 0, text.index("{{")) + 1, "", hint))
    return [manifest for document in documents for manifest in objects(document)], problems


def objects(document: Document, base: Path = ()) -> Iterator[Manifest]:
    """The object that a document is, or those that it lists; what is no Kubernetes object is left out."""
    value = dig(document.value, base)
    if not isinstance(value, Mapping):
        return
    if isinstance(value.get("items"), list) and str(value.get("kind", "")).endswith("List"):
        for index in range(len(value["items"])):
            yield from objects(document, (*base, "items", index))
    elif isinstance(value.get("kind"), str):
        yield Manifest(document, base, value)


def _texts(path: str, seen: set[FilePath], problems: list[Problem]) -> Iterator[tuple[str, str]]:
    if path == "-":
        try:
            yield "<stdin>", sys.stdin.buffer.read().decode()
        except UnicodeDecodeError:
            problems.append(Problem("<stdin>", 0, "", "is not UTF-8 text"))
        return
    start = FilePath(path)
    files = sorted(_files(start)) if start.is_dir() else [start]
    if not files:
        problems.append(Problem(path, 0, "", "the directory holds no .yaml, .yml or .json file"))
    for file in files:
        if file.resolve() in seen:
            continue
        seen.add(file.resolve())
        try:
            yield str(file), file.read_text(encoding="utf-8")
        except OSError as error:
            raise unreadable(file, error, "give manifests: files, folders, or - for standard input") from error
        except UnicodeDecodeError:
            problems.append(Problem(str(file), 0, "", "is not UTF-8 text"))


def _files(directory: FilePath) -> Iterator[FilePath]:
    for file in directory.rglob("*"):
        hidden = any(part.startswith(".") for part in file.relative_to(directory).parts)
        if file.suffix in _SUFFIXES and file.is_file() and not hidden:
            yield file
