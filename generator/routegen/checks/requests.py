"""Requests to compare two routes.yaml by: from a file of JSON lines, or made up from what both files speak of."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from routegen.common.files import unreadable
from routegen.common.problems import InputError, Problem
from routegen.explain.gateway import Request
from routegen.plan import Plan
from routegen_router.config import reads
from routegen_router.request import MODEL, Source
from routegen_router.rules import Lookup, Rule
from routegen_router.rules.describe import forms, names
from routegen_router.when import Condition

MOST_MADE_UP: Final = 5000
"""More would only be more of the same."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One request, and where it comes from."""

    request: Request
    origin: str
    """Such as ``line 7``; empty where it is made up."""


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    """One line of a file of requests."""

    method: str = "POST"
    path: str | None = None
    headers: dict[str, str] = {}
    body: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    fields: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


_decode: Final = msgspec.json.Decoder(_Line).decode


def read_requests(path: Path, default_path: str) -> Iterator[Sample]:
    """Read JSON lines: ``method``, ``path``, ``headers``, and the ``body``, or the ``fields`` of it that rules read.

    :raises InputError: a line is none.
    :raises UserError: there is no such file, or it can't be read.
    """
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield Sample(_request(line, default_path, str(path), number), f"line {number}")
    except OSError as error:
        raise unreadable(path, error, "it holds requests as JSON lines, see docs/diff.md") from error


def _request(line: bytes, default_path: str, file: str, number: int) -> Request:
    try:
        given = _decode(line)
    except msgspec.MsgspecError as error:
        message = f"is no request: {error}; write method, path, headers, and body or fields"
        raise InputError([Problem(file, number, "", message)]) from error
    if given.body is not msgspec.UNSET and given.fields is not msgspec.UNSET:
        raise InputError([Problem(file, number, "", "has body and fields; one of them is enough")])
    if given.fields is not msgspec.UNSET:
        body = json.dumps(_nested({tuple(key.split(".")): value for key, value in given.fields.items()})).encode()
    else:
        body = bytes(given.body) if given.body is not msgspec.UNSET else b"{}" if given.method == "POST" else b""
    return Request(given.method.upper(), given.path or default_path, tuple(given.headers.items()), body)


def made_up(plans: Sequence[Plan]) -> Iterator[Sample]:
    """Requests that bring out what the rules of both files tell apart.

    Every model that a file speaks of and none, with nothing more, with each value that a rule reads, and with what
    makes each rule's conditions hold; on every path. No more than :data:`MOST_MADE_UP`.
    """
    found: dict[Request, None] = {}
    models = [None, *dict.fromkeys(model for plan in plans for model in _models(plan))]
    paths = list(dict.fromkeys(path for plan in plans for path in plan.paths))
    rules = [rule for plan in plans for rule in plan.rules]
    single: list[dict[Source, str]] = [{}, *({source: value} for source, value in _values(plans, rules))]
    conditions = [{}, *(wanted for rule in rules if (wanted := _fulfilling(rule.when)))]
    for model, one, wanted in itertools.product(models, single, conditions):
        given = {**({Source(body=MODEL): model} if model is not None else {}), **wanted, **one}
        found[_made(given, paths[0])] = None
        if len(found) >= MOST_MADE_UP:
            break
    for path, model in itertools.product(paths[1:], models):
        found[_made({Source(body=MODEL): model} if model is not None else {}, path)] = None
    return (Sample(request, "") for request in itertools.islice(found, MOST_MADE_UP))


def shown(request: Request, plans: Sequence[Plan]) -> dict[str, Any]:
    """What of a request may be shown: method, path, and what rules read. Never a prompt."""
    read = [reads(plan.rules) for plan in plans]
    headers = {name: value for name, value in request.headers if any(name.lower() in one.headers for one in read)}
    told: dict[str, Any] = {"method": request.method, "path": request.path}
    if headers:
        told["headers"] = headers
    try:
        document = json.loads(request.body or b"{}")
    except (ValueError, RecursionError):
        return told
    fields = {}
    for path in sorted({path for one in read for path in one.fields}):
        value = document
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, str | bool | int | float):
            fields[".".join(path)] = value
    return told | ({"fields": fields} if fields else {})


def _models(plan: Plan) -> Iterator[str]:
    for backend in plan.backends:
        yield from (_matching(model) for model in backend.models)
    for rule in plan.rules:
        for test in rule.when:
            if isinstance(test.pattern, str) and (test.attribute == "model" or _is_model(test.source)):
                yield _matching(test.pattern)


def _is_model(source: Source | None) -> bool:
    return source is not None and source.body == MODEL


def _values(plans: Sequence[Plan], rules: Sequence[Rule]) -> Iterator[tuple[Source, str]]:
    """Every value that a rule may tell apart, where it reads it, and one that none knows."""
    every = [name for plan in plans for backend in plan.backends for name in (backend.name, backend.owner) if name]
    every += [name for rule in rules for form in forms(type(rule))[:1] for _, name in names(form, rule)]
    for rule in rules:
        table = [_matching(value) for value, _ in rule.values] if isinstance(rule, Lookup) else []
        for source in rule.sources():
            yield from ((source, value) for value in dict.fromkeys([*table, *every, "unknown-value"]))


def _fulfilling(when: tuple[Condition, ...]) -> dict[Source, str]:
    """Values with which the tests of text hold; the others can't be made up."""
    return {
        test.source: _matching(test.pattern)
        for test in when
        if test.source is not None and isinstance(test.pattern, str)
    }


def _matching(pattern: str) -> str:
    """A text that a glob matches."""
    return pattern.replace("*", "x").replace("?", "x")


def _made(given: Mapping[Source, str], path: str) -> Request:
    headers = tuple((source.header, value) for source, value in given.items() if source.header is not None)
    body = _nested({source.body: value for source, value in given.items() if source.body is not None})
    return Request("POST", path, headers, json.dumps(body).encode())


def _nested(fields: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for path, value in fields.items():
        level = document
        for key in path[:-1]:
            level = level.setdefault(key, {})
        level[path[-1]] = value
    return document
