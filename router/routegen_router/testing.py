"""For authors of rules: try a rule on a request, and hold it to what every rule promises.

Needs nothing but the router. Two functions: :func:`standing` makes a request's standing to call ``choose`` with, and
:func:`check` runs a rule over hundreds of them and raises an AssertionError with a sentence at the first broken
promise.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from .backend import Backend
from .decide import ERRORS
from .models import Known, Snapshot
from .request import MODEL, Facts, FieldPath, Measure, Source
from .rules import Rule
from .rules.describe import Form, forms, names
from .standing import Decide, Narrow, Outcome, Pass, Refuse, Standing

_VALUES = ("gold", "", "a", "owner-b", "\u00e9", "x" * 300)
"""What a client may send where a rule reads: words, names, nonsense."""
_PATH = "/v1/chat/completions"


def backends(*names: str, models: Iterable[str] = ("m",)) -> tuple[Backend, ...]:
    """Backends of these names; the owner of ``b`` is ``owner-b``."""
    return tuple(Backend(name=name, owner=f"owner-{name}", models=tuple(models)) for name in names)


def standing(
    given: Iterable[Backend],
    *,
    model: str | None = None,
    fields: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    queries: Mapping[str, str] | None = None,
    size: int = 0,
    sizes: Mapping[Measure, int] | None = None,
    path: str = _PATH,
    dead: Iterable[str] = (),
    candidates: Iterable[str] | None = None,
    draw: float = 0.0,
) -> Standing:
    """A request's standing.

    :param fields: dotted field of the body -> its value.
    :param headers: names in lower case.
    :param queries: parameters of the query.
    :param size: the body's length in bytes.
    :param sizes: what the rule's ``measures()`` would find.
    :param dead: the backends whose engines have stopped answering.
    :param candidates: default: the backends that serve ``model``, or all.
    :param draw: what every random number is, in [0, 1).
    """
    body: dict[FieldPath, str] = {tuple(field.split(".")): value for field, value in (fields or {}).items()}
    if model is not None:
        body[MODEL] = model
    dead = set(dead)
    view = Snapshot(Known(backend, alive=backend.name not in dead) for backend in given)
    made = Standing(Facts(path, model, body, headers or {}, size, sizes or {}, queries or {}), view, lambda: draw)
    if candidates is not None:
        made.candidates = tuple(candidates)
    elif model is not None:
        made.candidates = view.serving(model)
    return made


def check(*rules: Rule) -> None:
    """Hold rules to what every rule promises.

    - Its class says how it is written, and it survives the router's configuration file.
    - It answers ``Pass``, ``Narrow``, ``Decide`` or ``Refuse``; a choice is one of the candidates, a refusal has an
      error's status, a code and a message; reasons are text and shares add up to 1.
    - It reads only what its fields say, and asks only for names that its fields hold or the request gives.
    - The same request gets the same answer, and nothing is changed on the way.

    :raises AssertionError: one doesn't; the sentence says which and how.
    """
    for rule in rules:
        form = _form(rule)
        _survives(rule)
        for made in _standings(rule):
            _holds(rule, form, made)


class _Watched(Standing):
    """Notes which names are asked for."""

    __slots__ = ("asked",)

    def __init__(self, of: Standing, facts: _WatchedFacts) -> None:
        super().__init__(facts, of.view, of.draw)
        self.candidates = of.candidates
        self.asked: set[str] = set()

    def bearing(self, name: str) -> tuple[str, ...]:
        self.asked.add(name)
        return super().bearing(name)


class _WatchedFacts(Facts, frozen=True):
    """Notes which places are read."""

    sources: set[Source] = msgspec.field(default_factory=set)

    def read(self, source: Source) -> str | None:
        self.sources.add(source)
        return super().read(source)


def _form(rule: Rule) -> Form:
    config = type(rule).__struct_config__
    strict = config.frozen and config.forbid_unknown_fields and isinstance(config.tag, str)
    assert strict, f"{type(rule).__name__} must be declared with frozen=True, forbid_unknown_fields=True and a tag"
    found = forms(type(rule))
    for form in found:
        assert form.sentence, f"{type(rule).__name__} has no docstring; its first line is what the reference says of it"
    return found[0]


def _survives(rule: Rule) -> None:
    again = msgspec.json.Decoder(type(rule)).decode(msgspec.json.encode(rule))
    assert again == rule, f"{rule.name}: the router would read another rule than was written: {again!r}"


def _standings(rule: Rule) -> Iterator[Standing]:
    """Requests with every mix of values where the rule reads, over all sets of candidates, dead engines, draws."""
    form = _form(rule)
    own = [name for _, name in names(form, rule)]
    given = backends(*dict.fromkeys([*own, "a", "b", "c"][:5]), models=("m",))
    every = [backend.name for backend in given]
    subsets = [every, every[:1], every[1:], every[-2:]]
    values = [None, *own[:2], *_VALUES]
    reads = rule.sources()
    for index, candidates in itertools.product(range(len(values)), subsets):
        facts: dict[str, str] = {}
        headers: dict[str, str] = {}
        queries: dict[str, str] = {}
        for offset, source in enumerate(reads):
            value = values[(index + offset) % len(values)]
            if value is not None and source.header is not None:
                headers[source.header] = value
            elif value is not None and source.body is not None:
                facts[".".join(source.body)] = value
            elif value is not None and source.query:
                queries[source.query] = value
        for dead, draw, model in itertools.product(([], every[:1], every), (0.0, 0.999), (None, "m")):
            yield standing(
                given,
                model=model,
                fields=facts,
                headers=headers,
                queries=queries,
                dead=dead,
                candidates=candidates,
                draw=draw,
            )


def _holds(rule: Rule, form: Form, made: Standing) -> None:
    what = f"{type(rule).__name__} {rule.name!r} for {made.facts} among {', '.join(made.candidates)}"
    said = made.facts
    facts = _WatchedFacts(said.path, said.model, said.fields, said.headers, queries=said.queries)
    watched = _Watched(made, facts)
    outcome: Any = rule.choose(watched)
    assert watched.candidates == made.candidates, f"{what}: it changed the candidates; it may only answer"
    undeclared = facts.sources - set(rule.sources())
    assert not undeclared, f"{what}: it reads {', '.join(map(str, undeclared))}, which no field of its class holds"
    sent = {*facts.fields.values(), *facts.headers.values(), *facts.queries.values()}
    strange = watched.asked - {name for _, name in names(form, rule)} - sent
    assert not strange, f"{what}: it asks for {', '.join(strange)}; a field of its class must hold it as a Name"
    _is_sound(outcome, made.candidates, what)
    again: Any = rule.choose(_Watched(made, facts))
    assert _told(again) == _told(outcome), f"{what}: it answered {_told(outcome)}, and the second time {_told(again)}"


def _is_sound(outcome: Any, candidates: tuple[str, ...], what: str) -> None:
    assert isinstance(outcome, Outcome), f"{what}: it answered {outcome!r}, not Pass, Narrow, Decide or Refuse"
    if isinstance(outcome, Narrow):
        assert set(outcome.left) & set(candidates), f"{what}: it narrowed to no candidate; let it pass or refuse"
    if isinstance(outcome, Decide):
        assert outcome.backend in candidates, f"{what}: it decided for {outcome.backend}, which is no candidate"
        shares = outcome.shares()
        assert not shares or math.isclose(sum(shares.values()), 1), f"{what}: the shares don't add up to 1: {shares}"
    if isinstance(outcome, Refuse):
        reject = outcome.reject
        assert reject.status in ERRORS, f"{what}: it refused with status {reject.status}, which is no error"
        told = bool(reject.code and reject.message)
        assert told, f"{what}: a refusal needs a code and a message"
    else:
        assert isinstance(outcome.why(), str), f"{what}: its reason is no text"


def _told(outcome: Outcome) -> object:
    """What can be compared of an answer."""
    match outcome:
        case Pass():
            return "Pass"
        case Narrow():
            return outcome.left
        case Decide():
            return outcome.backend
        case Refuse():
            return outcome.reject
