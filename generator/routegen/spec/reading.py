"""From the text of a routes.yaml to its spec: every problem at once, each with its line."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from routegen.common.positions import Document, Path, lies_below, read_documents, render_path
from routegen.common.problems import InputError, Problem
from routegen.spec.models import API_VERSION, KIND, Routes, routes_with
from routegen.spec.rules import verbs_for
from routegen.spec.sentences import SECRETIVE, place, sentence, shown

_STAND_IN = {"header": "x-unreadable"}
"""Takes the place of a rule that can't be read, so that the other rules keep their index."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a routes.yaml says, as far as it can be understood."""

    routes: Routes | None
    """With problems: what is left without the parts that can't be read; ``None`` where that makes no sense."""
    document: Document
    problems: tuple[Problem, ...]


def read(text: str, file: str) -> Reading:
    """Read a routes.yaml.

    :param file: what to call it in problems.
    :raises InputError: it holds nothing that could be a routes.yaml.
    """
    documents, problems = read_documents(text, file, leading_zeros=False, secretive=SECRETIVE)
    if not documents:
        raise InputError(problems or [Problem(file, 0, "", "is empty; `routegen init` writes one to start from")])
    document, *others = documents
    problems += [
        Problem(file, other.first_line, "", "a second document begins here; a routes.yaml holds one")
        for other in others
    ]
    if not isinstance(document.value, dict):
        problems.append(
            document.problem((), f"must be a mapping that begins with apiVersion: {API_VERSION} and kind: {KIND}")
        )
        raise InputError(problems)
    kind = document.value.get("kind")
    if isinstance(kind, str) and kind != KIND:
        raise InputError([*problems, document.problem(("kind",), f"must be {KIND}, not {kind}")])
    return _validate(document, problems)


def _validate(document: Document, problems: list[Problem]) -> Reading:
    known = {problem.path for problem in problems}
    value = copy.deepcopy(document.value)
    entries = _rules(value)
    verbs, broken = verbs_for(entries)
    kind = routes_with(verbs)
    found = [(path, "is empty; give it a value or remove the line") for path in _nothings(document.value, ())]
    found += [(("spec", "rules", index, verb), text) for (index, verb), text in broken.items()]
    for index, _ in broken:
        entries[index] = _STAND_IN
    routes: Routes | None = None
    try:
        routes = kind.model_validate(value)
    except ValidationError as error:
        details = error.errors(include_url=False)
        wrong = [(place(detail, kind), detail) for detail in details]
        found += [(path, sentence(detail, kind, verbs)) for path, detail in wrong]
        routes = _salvage(value, [(path, detail["type"]) for path, detail in wrong], kind)
    for path, message in found:
        problem = replace(document.problem(path, message), path=render_path(shown(path)))
        if not any(problem.path == other or lies_below(other, problem.path) for other in known):
            known.add(problem.path)
            problems.append(problem)
    return Reading(routes, document, tuple(problems))


def _rules(value: Any) -> Any:
    spec = value.get("spec")
    return spec.get("rules") if isinstance(spec, dict) else None


def _salvage(rest: dict[str, Any], wrong: Iterable[tuple[Path, str]], routes: type[Routes]) -> Routes | None:
    """The spec without unknown keys, unreadable backends, rules and passthroughs; ``None`` if more is wrong."""
    for path, _ in (entry for entry in wrong if entry[1] == "extra_forbidden"):
        parent: Any = rest
        for part in path[:-1]:
            parent = parent[part]
        del parent[path[-1]]
    for path, _ in (entry for entry in wrong if entry[1] != "extra_forbidden"):
        match path:
            case ("spec", "rules", int(index), *_):
                rest["spec"]["rules"][index] = _STAND_IN
            case ("spec", "backends", name, *_):
                rest["spec"]["backends"].pop(name, None)
            case ("spec", "passthrough", int(), *_):
                rest["spec"].pop("passthrough", None)
            case _:
                return None
    try:
        return routes.model_validate(rest)
    except ValidationError:
        return None


def _nothings(value: Any, path: Path) -> Iterator[Path]:
    """Every key or entry without a value."""
    if value is None:
        yield path
    children: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, dict):
        children = value.items()
    elif isinstance(value, list):
        children = enumerate(value)
    for key, child in children:
        yield from _nothings(child, (*path, key))
