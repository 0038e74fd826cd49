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

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from functools import partial
from typing import Final, Literal

import msgspec

from .choice import Group, rendezvous, shares, weighted
from .config import Condition, Config, FieldPath, Lookup, Prefer, Refuse, Rule, Source, Split
from .models import Snapshot
from .refusals import Reject, engine_model_mismatch, model_not_found, quote, registry_incomplete, unknown_value

ONLY_CANDIDATE: Final = "only-candidate"
"""The rule named for a decision that no rule made: one backend serves the model."""
MODEL: Final = "model"
"""The name of a trace's first step: which backends serve the model."""
END: Final = "end"
"""The name of a trace's last step where the chain's end decided."""

Why = Callable[[], str]
"""A reason, put into words only where a trace is wanted."""
Draw = Callable[[], float]
"""Gives a random number in [0, 1)."""


class Facts(msgspec.Struct, frozen=True):
    """What one request says, as far as rules may ask."""

    path: str
    model: str | None
    fields: Mapping[FieldPath, str]
    """Values of the body's fields that rules name; absent ones (JSON ``null`` too) are missing here."""
    headers: Mapping[str, str]
    """Names in lower case."""


class Route(msgspec.Struct, frozen=True):
    """Send the request to ``backend``."""

    backend: str
    rule: str


Decision = Route | Reject
Outcome = Literal["started", "narrowed", "decided", "passed", "rejected"]


class Step(msgspec.Struct, frozen=True):
    """One line of the trace: what a rule did, or first of all the model."""

    rule: str
    """The rule's name; :data:`MODEL` for the first step, :data:`END` for a choice at the chain's end."""
    outcome: Outcome
    why: str
    candidates: tuple[str, ...]
    """What was left after it."""
    shares: Mapping[str, float] = msgspec.field(default_factory=dict)
    """Where the choice was random: backend -> its share of requests like this one, all together 1."""


def decide(facts: Facts, config: Config, view: Snapshot, draw: Draw, trace: list[Step] | None = None) -> Decision:
    """Choose the backend for one request.

    :param trace: collects the steps, for ``explain``.
    """
    run = _Run(facts, view, draw, trace)
    rejected = run.start(config)
    if rejected is not None:
        return rejected
    for rule in config.rules:
        decision = run.apply(rule)
        if decision is not None:
            return decision
    return run.finish()


def unserved(model: str, view: Snapshot) -> Reject:
    """Nobody is known to serve ``model``: 404, or 503 while some engine hasn't told its models yet."""
    return model_not_found(model, view.models) if view.complete else registry_incomplete("model")


class _Run:
    """One request's way through the chain."""

    __slots__ = ("candidates", "chose", "draw", "facts", "trace", "view")

    def __init__(self, facts: Facts, view: Snapshot, draw: Draw, trace: list[Step] | None) -> None:
        self.facts, self.view, self.draw, self.trace = facts, view, draw, trace
        self.candidates = view.names
        self.chose: str | None = None

    def start(self, config: Config) -> Reject | None:
        """The candidates: the backends that serve the request's model."""
        model = self.facts.model
        if model is None:
            self._note(MODEL, "started", lambda: "the request names no model")
            return None
        serving = self.view.serving(model)
        if serving:
            self.candidates = serving
            self._note(MODEL, "started", lambda: f"these serve {quote(model)}")
            return None
        if config.models.unknown == "allow":
            self._note(MODEL, "started", lambda: f"nobody is known to serve {quote(model)}; unknown models are allowed")
            return None
        self.candidates = ()
        return self._reject(MODEL, unserved(model, self.view))

    def apply(self, rule: Rule) -> Decision | None:
        """Run one rule; a decision ends the chain."""
        for test in rule.when:
            if not _holds(test, self.facts):
                return self._pass(rule, partial(_unmet, test))
        match rule:
            case Prefer():
                return self._prefer(rule)
            case Lookup():
                return self._lookup(rule)
            case Split():
                return self._split(rule)
            case Refuse():
                return self._reject(rule.name, Reject(400, "no_route", rule.message, None, rule.name))

    def finish(self) -> Decision:
        """The chain has ended without a decision."""
        if len(self.candidates) == 1:
            self._note(END, "decided", lambda: "one candidate is left")
            return Route(self.candidates[0], self.chose or ONLY_CANDIDATE)
        if self.chose is None:
            return self._reject(END, Reject(400, "no_route", "No rule chose an engine for this request."))
        alive = self._alive(self.candidates)
        self.candidates = (alive[int(self.draw() * len(alive))],)
        even = dict.fromkeys(alive, 1 / len(alive))
        self._note(END, "decided", lambda: f"evenly among what {self.chose} left", even)
        return Route(self.candidates[0], self.chose)

    def _prefer(self, rule: Prefer) -> Decision | None:
        wanted = {name for group in rule.names for name in self.view.bearing(group)}
        left = tuple(name for name in self.candidates if name in wanted and name in self.view.alive)
        if not left:
            return self._pass(rule, lambda: f"none of {', '.join(rule.names)} is a candidate that answers")
        return self._narrow(rule, left, lambda: f"prefers {', '.join(rule.names)}")

    def _lookup(self, rule: Lookup) -> Decision | None:
        value = _read(rule.source, self.facts)
        if value is None:
            return self._pass(rule, lambda: f"{rule.source} is absent")
        param = _param(rule.source)
        name = _translate(rule, value)
        named = self.view.bearing(name) if name is not None else ()
        if not named:
            if name is not None and not self.view.owners_complete:
                return self._reject(rule.name, registry_incomplete(param, rule.name))
            if rule.on_unknown == "next":
                return self._pass(rule, lambda: f"{quote(value)} names nothing")
            allowed = tuple(pattern for pattern, _ in rule.values) or self.view.bearable
            return self._reject(rule.name, unknown_value(value, allowed, param, rule.name))
        left = tuple(name for name in self.candidates if name in named)
        if left:
            return self._narrow(rule, left, lambda: f"{rule.source} is {quote(value)}")
        if self.facts.model is not None and not all(self.view.known[name].answered for name in named):
            return self._reject(rule.name, registry_incomplete(param, rule.name))
        if rule.on_mismatch == "next":
            return self._pass(rule, lambda: f"{quote(value)} names no candidate")
        reject = engine_model_mismatch(value, self.facts.model, self.candidates, param, rule.name)
        return self._reject(rule.name, reject)

    def _split(self, rule: Split) -> Decision | None:
        groups = self._groups(rule)
        if not groups:
            return self._pass(rule, lambda: "no candidate has a weight here")
        # An empty value is no key: it would tie everybody who sends one to a single backend.
        key = _read(rule.sticky_by, self.facts) if rule.sticky_by is not None else None
        weights = [(name, weight) for name, weight, _ in groups]
        bearers = {name: backends for name, _, backends in groups}
        if key:
            # In two steps, so that a backend which stops answering moves its own keys to others of its name only.
            name = rendezvous(key, weights)
            backend = rendezvous(f"{name}\0{key}", [(bearer, 1) for bearer in bearers[name]])
        else:
            name = weighted(self.draw(), weights)
            backend = bearers[name][int(self.draw() * len(bearers[name]))]
        self.candidates = (backend,)
        if self.trace is not None:
            why = f"by weight, sticky by {rule.sticky_by}" if key else "by weight"
            self._note(rule.name, "decided", lambda: why, {} if key else shares(groups))
        return Route(backend, rule.name)

    def _groups(self, rule: Split) -> list[Group]:
        """(name, weight, its candidates that answer), or with those that don't where none does."""
        own = {name for name, _ in rule.weights}  # who has a weight of its own gets none of its owner's
        for possible in (self._alive(self.candidates), self.candidates):
            groups: list[Group] = []
            for name, weight in rule.weights:
                bearers = [
                    bearer
                    for bearer in self.view.bearing(name)
                    if bearer in possible and (bearer == name or bearer not in own)
                ]
                if bearers and weight > 0:
                    groups.append((name, weight, bearers))
            if groups:
                return groups
        return []

    def _narrow(self, rule: Rule, left: tuple[str, ...], why: Why) -> Route | None:
        self.candidates, self.chose = left, rule.name
        decided = len(left) == 1
        self._note(rule.name, "decided" if decided else "narrowed", why)
        return Route(left[0], rule.name) if decided else None

    def _pass(self, rule: Rule, why: Why) -> Decision | None:
        self._note(rule.name, "passed", why)
        return None

    def _reject(self, step: str, reject: Reject) -> Reject:
        self._note(step, "rejected", lambda: reject.message)
        return reject

    def _note(self, step: str, outcome: Outcome, why: Why, shares: Mapping[str, float] | None = None) -> None:
        if self.trace is not None:
            self.trace.append(Step(step, outcome, why(), self.candidates, shares or {}))

    def _alive(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Those whose engines answer, or all where none does."""
        return tuple(name for name in names if name in self.view.alive) or names


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


def _unmet(test: Condition) -> str:
    return f"when {test.source or test.attribute}: {test.pattern} does not hold"
