"""The routing policy: what a request says + the rules + what is known of the engines -> a decision.

Pure: no I/O, no clock, no protobuf; randomness comes in as an argument. The router and ``routegen explain``
both call :func:`decide`, so what one says the other does.

How it works: the candidates are the backends that serve the request's model (all, where it names none). The rules
then run in order; each narrows the candidates, decides, or passes. A rule that narrowed to a single backend has
decided. At the end of the chain one candidate is the decision; several are split evenly if some rule chose
them, else nothing chose and the request is refused. Explicit choices never fail over; splits and preferences skip
engines that have stopped answering.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from hashlib import blake2b

from .config import Condition, Config, FieldPath, Lookup, Prefer, Refuse, Rule, Source, Split
from .models import Snapshot

ONLY_CANDIDATE = "only-candidate"
"""The rule named for a decision that no rule made: one backend serves the model."""

Draw = Callable[[], float]
"""Gives a random number in [0, 1)."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What one request says, as far as rules may ask."""

    path: str
    model: str | None
    fields: Mapping[FieldPath, str]
    """Values of the body's fields that rules name; absent ones (JSON ``null`` too) are missing here."""
    headers: Mapping[str, str]
    """Names in lower case."""


@dataclass(frozen=True, slots=True)
class Route:
    """Send the request to ``backend``."""

    backend: str
    rule: str


@dataclass(frozen=True, slots=True)
class Reject:
    """Answer the client with an OpenAI-shaped error."""

    status: int
    code: str
    message: str
    param: str | None = None
    rule: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


Decision = Route | Reject


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the trace: what a rule did."""

    rule: str
    outcome: str
    """``narrowed``, ``decided``, ``passed`` or ``rejected``."""
    why: str
    candidates: tuple[str, ...]
    """What was left after it."""


def decide(facts: Facts, config: Config, view: Snapshot, draw: Draw, trace: list[Step] | None = None) -> Decision:
    """Choose the backend for one request.

    :param trace: collects a step a rule, for ``explain``.
    """
    started = _candidates(facts, config, view)
    if isinstance(started, Reject):
        return started
    run = _Run(facts, view, draw, [] if trace is None else trace, started, config.rules)
    for rule in config.rules:
        decision = run.apply(rule)
        if decision is not None:
            return decision
    return run.finish()


def _candidates(facts: Facts, config: Config, view: Snapshot) -> tuple[str, ...] | Reject:
    """The backends that serve the request's model."""
    if facts.model is None:
        return view.names
    serving = view.serving(facts.model)
    if serving or config.models.unknown == "allow":
        return serving or view.names
    if not view.complete:
        return registry_incomplete("model")
    return model_not_found(facts.model, view)


class _Run:
    """One request's way through the chain."""

    __slots__ = ("candidates", "chose", "draw", "facts", "rules", "trace", "view")

    def __init__(
        self,
        facts: Facts,
        view: Snapshot,
        draw: Draw,
        trace: list[Step],
        candidates: tuple[str, ...],
        rules: Sequence[Rule],
    ) -> None:
        self.facts, self.view, self.draw, self.trace = facts, view, draw, trace
        self.candidates, self.rules = candidates, rules
        self.chose: str | None = None

    def apply(self, rule: Rule) -> Decision | None:
        """Run one rule; a decision ends the chain."""
        failed = next((test for test in rule.when if not _holds(test, self.facts)), None)
        if failed is not None:
            return self._pass(rule, f"{_describe(failed)} does not hold")
        match rule:
            case Prefer():
                return self._prefer(rule)
            case Lookup():
                return self._lookup(rule)
            case Split():
                return self._split(rule)
            case Refuse():
                return self._reject(rule, Reject(400, "no_route", rule.message, None, rule.name))

    def finish(self) -> Decision:
        """The chain has ended without a decision."""
        if len(self.candidates) == 1:
            return Route(self.candidates[0], self.chose or ONLY_CANDIDATE)
        if self.chose is None:
            return Reject(400, "no_route", "No rule chose an engine for this request.", None)
        alive = self._alive(self.candidates) or self.candidates
        return Route(alive[int(self.draw() * len(alive))], self.chose)

    def _prefer(self, rule: Prefer) -> Decision | None:
        wanted = {name for group in rule.names for name in self.view.bearing(group)}
        left = tuple(name for name in self._alive(self.candidates) if name in wanted)
        if not left:
            return self._pass(rule, f"none of {', '.join(rule.names)} is a candidate that answers")
        return self._narrow(rule, left, f"prefers {', '.join(rule.names)}")

    def _lookup(self, rule: Lookup) -> Decision | None:
        value = _read(rule.source, self.facts)
        if value is None:
            return self._pass(rule, f"{rule.source} is absent")
        name = _translate(rule, value)
        named = self.view.bearing(name) if name is not None else ()
        if not named:
            if rule.on_unknown == "next":
                return self._pass(rule, f"{quote(value)} names nothing")
            if name is not None and not self.view.complete:
                return self._reject(rule, registry_incomplete(_param(rule.source), rule.name))
            return self._reject(rule, _unknown(rule, value, self.view))
        left = tuple(name for name in self.candidates if name in named)
        if left:
            return self._narrow(rule, left, f"{rule.source} is {quote(value)}")
        if rule.on_mismatch == "next":
            return self._pass(rule, f"{quote(value)} names no candidate")
        if self.facts.model is not None and not all(self.view.known[name].answered for name in named):
            return self._reject(rule, registry_incomplete(_param(rule.source), rule.name))
        return self._reject(rule, self._mismatch(rule, value))

    def _split(self, rule: Split) -> Decision | None:
        weights = self._weights(rule)
        if not weights:
            return self._pass(rule, "no candidate has a weight here")
        key = _read(rule.sticky_by, self.facts) if rule.sticky_by is not None else None
        if key is not None:
            backend, why = rendezvous(key, weights), f"sticky by {rule.sticky_by}"
        else:
            backend, why = weighted(self.draw(), weights), "by weight"
        self.candidates = (backend,)
        self.trace.append(Step(rule.name, "decided", why, self.candidates))
        return Route(backend, rule.name)

    def _weights(self, rule: Split) -> list[tuple[str, float]]:
        """(backend, weight) of the candidates that answer, or of all where none does."""
        for possible in (self._alive(self.candidates), self.candidates):
            found = []
            for group, weight in rule.weights:
                bearers = [name for name in self.view.bearing(group) if name in possible]
                found += [(name, weight / len(bearers)) for name in bearers if weight > 0]
            if found:
                return found
        return []

    def _narrow(self, rule: Rule, left: tuple[str, ...], why: str) -> Route | None:
        self.candidates, self.chose = left, rule.name
        decided = len(left) == 1
        self.trace.append(Step(rule.name, "decided" if decided else "narrowed", why, left))
        return Route(left[0], rule.name) if decided else None

    def _pass(self, rule: Rule, why: str) -> Route | None:
        self.trace.append(Step(rule.name, "passed", why, self.candidates))
        return None

    def _reject(self, rule: Rule, reject: Reject) -> Reject:
        self.trace.append(Step(rule.name, "rejected", reject.message, self.candidates))
        return reject

    def _mismatch(self, rule: Lookup, value: str) -> Reject:
        possible = ", ".join(self.candidates)
        if self.facts.model is not None:
            message = (
                f"{quote(value)} does not serve the model {quote(self.facts.model)} here; it is served by: {possible}."
            )
        else:
            message = f"{quote(value)} is not possible for this request; possible: {possible}."
        return Reject(400, "engine_model_mismatch", message, _param(rule.source), rule.name)

    def _alive(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if name in self.view.alive)


def weighted(point: float, weights: Sequence[tuple[str, float]]) -> str:
    """The backend whose share of the summed weights holds ``point`` (in [0, 1))."""
    mark = point * sum(weight for _, weight in weights)
    for name, weight in weights:
        mark -= weight
        if mark < 0:
            return name
    return weights[-1][0]


def rendezvous(key: str, weights: Sequence[tuple[str, float]]) -> str:
    """The same backend for the same key, in every process; a changed weight moves only its share of the keys.

    Weighted rendezvous hashing: the highest ``-weight / ln(u)`` wins, where ``u`` in (0, 1) is a hash of key and
    name (Schindelhauer and Schomaker, "Weighted distributed hash tables", 2005).
    """

    def score(name: str, weight: float) -> float:
        digest = blake2b(f"{name}\0{key}".encode(errors="surrogatepass"), digest_size=8).digest()
        return -weight / math.log((int.from_bytes(digest) + 0.5) / 2**64)

    return max(weights, key=lambda item: score(*item))[0]


def quote(text: str, limit: int = 80) -> str:
    """A client's text for an error message: quoted, escaped, cut."""
    cut = text if len(text) <= limit else text[:limit] + "…"
    return '"' + cut.replace('"', "'") + '"' if cut.isprintable() else ascii(cut)


def registry_incomplete(param: str | None, rule: str | None = None) -> Reject:
    """503: not every engine has told its models yet."""
    message = "The gateway has not yet heard from every engine which models it serves; try again shortly."
    return Reject(503, "registry_incomplete", message, param, rule, {"retry-after": "1"})


def model_not_found(model: str, view: Snapshot) -> Reject:
    """404: every engine has told its models and none serves this one."""
    return Reject(
        404,
        "model_not_found",
        f"The model {quote(model)} is not served here; {_choices('available', view.models)}",
        "model",
    )


def _unknown(rule: Lookup, value: str, view: Snapshot) -> Reject:
    code = "unknown_inference_server" if rule.source.body == ("inference_server",) else "unknown_value"
    allowed = tuple(pattern for pattern, _ in rule.values) or view.bearable
    return Reject(
        400,
        code,
        f"{quote(value)} is not a value that this gateway knows; {_choices('allowed', allowed)}",
        _param(rule.source),
        rule.name,
    )


def _choices(word: str, values: Sequence[str], limit: int = 20) -> str:
    more = f" and {len(values) - limit} more" if len(values) > limit else ""
    return f"{word}: {', '.join(values[:limit]) or 'none'}{more}."


def _translate(rule: Lookup, value: str) -> str | None:
    """The name that a client's value stands for; ``None`` where the rule's table has no line for it."""
    if not rule.values:
        return value
    return next((name for pattern, name in rule.values if fnmatchcase(value, pattern)), None)


def _read(source: Source, facts: Facts) -> str | None:
    if source.header is not None:
        return facts.headers.get(source.header)
    return facts.fields.get(source.body) if source.body is not None else None


def _holds(test: Condition, facts: Facts) -> bool:
    value = facts.model if test.attribute == "model" else facts.path if test.attribute == "path" else None
    if test.source is not None:
        value = _read(test.source, facts)
    return value is not None and fnmatchcase(value, test.pattern)


def _param(source: Source) -> str:
    """The ``param`` of an error: the body's dotted field, or the header's name."""
    return ".".join(source.body) if source.body is not None else source.header or ""


def _describe(test: Condition) -> str:
    return f"when {test.source or test.attribute}: {test.pattern}"
