"""Requests to paste into a shell: one for each backend, one for the split, one for the list of models."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from routegen.plan import Backend, Plan
from routegen_router.request import FieldPath, Source
from routegen_router.rules import Lookup, Split

CHAT = "/v1/chat/completions"


def curl_lines(plan: Plan, url: str, models: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What each line shows, and the line.

    :param models: backend -> a model that it serves; a backend that isn't there gets a request without a model.
    """
    path = CHAT if CHAT in plan.paths else plan.paths[0]
    for backend in plan.backends:
        chosen = _choice(plan, backend)
        if chosen is not None:
            source, value = chosen
            headers = {source.header: value} if source.header is not None else {}
            fields = _nested(source.body, value) if source.body is not None else {}
            asked = f"?{urlencode({source.query: value})}" if source.query else ""
            yield f"to {backend.name}", _post(url + path + asked, headers, _body(fields, models.get(backend.name)))
    if any(isinstance(rule, Split) for rule in plan.rules):
        yield "by the split", _post(url + path, {}, _body({}, _shared(models)))
    yield "the models", f"curl -s {url}/v1/models"


def _choice(plan: Plan, backend: Backend) -> tuple[Source, str] | None:
    """Where, and by which value, a request names ``backend`` to the first rule which lets a client name it."""
    for rule in plan.rules:
        if not isinstance(rule, Lookup) or rule.when:
            continue
        names = (backend.name, backend.owner)
        spelt = next((value for value, name in rule.values if name in names and not set("*?[") & set(value)), None)
        value = spelt if rule.values else backend.name
        if value is None:
            continue
        return rule.source, value
    return None


def _nested(path: FieldPath, value: str) -> dict[str, Any]:
    document: Any = value
    for key in reversed(path):
        document = {key: document}
    assert isinstance(document, dict)  # a path has at least one key
    return document


def _shared(models: Mapping[str, str]) -> str | None:
    """The model that most backends serve, so that the split has something to choose from."""
    named = list(models.values())
    return max(named, key=named.count) if named else None


def _body(fields: dict[str, Any], model: str | None) -> str:
    named = {} if model is None else {"model": model}
    return json.dumps({**named, **fields, "messages": [{"role": "user", "content": "Hello"}]})


def _post(url: str, headers: Mapping[str, str], body: str) -> str:
    extra = "".join(f" -H {shlex.quote(f'{name}: {value}')}" for name, value in headers.items())
    return f"curl -s {shlex.quote(url)} -H 'content-type: application/json'{extra} -d {shlex.quote(body)}"
