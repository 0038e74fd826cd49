"""Requests to compare two routes.yaml by: from a file of JSON lines, or made up from what both files speak of."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from routegen.common.files import unreadable
from routegen.common.problems import InputError, Problem
from routegen.explain.gateway import Request
from routegen.plan import Plan
from routegen_router import query
from routegen_router.config import reads
from routegen_router.request import MODEL, Source
from routegen_router.rules import Lookup, Rule
from routegen_router.rules.describe import forms, names
from routegen_router.when import Condition

MOST_MADE_UP: Final = 5000
"""More would only be more of the same."""

UNLISTED: Final = "a-model-that-nobody-lists"
"""Made up for ``models.unknown``; no engine is taken to serve it."""


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

    :raises InputError: a line is none, or there is no line at all.
    :raises UserError: there is no such file, or it can't be read.
    """
    empty = True
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    empty = False
                    yield Sample(_request(line, default_path, str(path), number), f"line {number}")
    except OSError as error:
        raise unreadable(path, error, "it holds requests as JSON lines, see docs/diff.md") from error
    if empty:
        raise InputError([Problem(str(path), 0, "", "has no request, so nothing could be compared by it")])


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
    """Requests that bring out what both files tell apart.

    What the gateway tells apart: every path, whatever passes unread, every host, bodies of the sizes that one file
    allows; and what the rules do: every model that a file speaks of, one that none does, and no model, with nothing
    more, with each value that a rule reads, and with what makes each rule's conditions hold. No more than
    :data:`MOST_MADE_UP`.
    """
    models = [None, UNLISTED, *dict.fromkeys(model for plan in plans for model in _models(plan))]
    paths = list(dict.fromkeys(path for plan in plans for path in plan.paths))
    bare = (_made(_naming(model), path) for model, path in itertools.product(models, paths))
    # With many paths and models, rules come to their turn all the same.
    first = itertools.chain(_at_the_gateway(plans, paths[0]), itertools.islice(bare, MOST_MADE_UP // 4))
    found: dict[Request, None] = {}
    for request in itertools.chain(first, _by_rules(plans, models, paths[0])):
        found[request] = None
        if len(found) >= MOST_MADE_UP:
            break
    return (Sample(request, "") for request in found)


def _at_the_gateway(plans: Sequence[Plan], path: str) -> Iterator[Request]:
    """Requests that differ in what the router isn't asked about."""
    for entry in (entry for plan in plans for entry in plan.passthrough):
        opened = [entry.path] if entry.prefix is None else [f"{entry.prefix}/x", entry.prefix or "/"]
        yield from (Request(entry.method, one) for one in opened)
    hosts = [_matching(name) for plan in plans for name in plan.gateway.hostnames]
    yield from (
        Request("POST", path, (("host", host),), b"{}") for host in ([*hosts, "other.example"] if hosts else ())
    )
    most = {plan.max_body_bytes for plan in plans}
    yield from (Request("POST", path, (("content-length", str(size)),), b"{}") for size in sorted(most)[1:])


def _by_rules(plans: Sequence[Plan], models: Sequence[str | None], path: str) -> Iterator[Request]:
    rules = [rule for plan in plans for rule in plan.rules]
    single: list[dict[Source, str]] = [{}, *({source: value} for source, value in _values(plans, rules))]
    conditions = [{}, *(wanted for rule in rules if (wanted := _fulfilling(rule.when)))]
    for model, one, wanted in itertools.product(models, single, conditions):
        yield _made({**_naming(model), **wanted, **one}, path)


def _naming(model: str | None) -> dict[Source, str]:
    return {Source(body=MODEL): model} if model is not None else {}


def shown(request: Request, plans: Sequence[Plan]) -> dict[str, Any]:
    """What of a request may be shown: method, path, and what gateway and rules read. Never a prompt."""
    read = [reads(plan.rules) for plan in plans]
    known = {"content-length", *(name for one in read for name in one.headers)}
    known |= {"host", ":authority"} if any(plan.gateway.hostnames for plan in plans) else set()
    headers = {name: value for name, value in request.headers if name.lower() in known}
    told: dict[str, Any] = {"method": request.method, "path": request.path.partition("?")[0]}
    if headers:
        told["headers"] = headers
    asked, _ = query.read(request.path.partition("?")[2], {name for one in read for name in one.queries})
    if asked:
        told["query"] = dict(asked)
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
    asked = urlencode([(source.query, value) for source, value in given.items() if source.query])
    return Request("POST", f"{path}?{asked}" if asked else path, headers, json.dumps(body).encode())


def _nested(fields: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for path, value in fields.items():
        level = document
        for key in path[:-1]:
            level = level.setdefault(key, {})
        level[path[-1]] = value
    return document
