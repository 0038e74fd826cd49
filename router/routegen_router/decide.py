"""The routing policy: what a request says + the rules + what is known of the engines -> a decision.

Pure: no I/O, no clock, no protobuf; randomness comes in as an argument. The router and ``routegen explain``
both call :func:`decide`, so what one says the other does.

How it works: the candidates are the backends that serve the request's model (all, where it names none). The rules
then run in order; each narrows the candidates, decides, or passes. A rule that narrowed to a single backend has
decided. At the end of the chain one candidate is the decision; several are split evenly if some rule chose
them, else nothing chose and the request is refused. Explicit choices never fail over; splits and preferences skip
engines that have stopped answering. A request that continues what one engine remembers
(:mod:`~routegen_router.stateful`) is decided only by the client's own choice, or where there is one candidate anyway.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import PurePath
from typing import Final, Literal

import msgspec

from .config import Config
from .models import Snapshot
from .refusals import BodyError, Reject, model_not_found, quote, registry_incomplete, rule_failed, stateful_request
from .request import Facts
from .rules import Lookup, Rule
from .standing import Decide, Draw, Narrow, Outcome, Pass, Refuse, Shares, Standing, Why
from .stateful import continued

ONLY_CANDIDATE: Final = "only-candidate"
"""The rule named for a decision that no rule made: one backend serves the model."""
MODEL: Final = "model"
"""The name of a trace's first step: which backends serve the model."""
END: Final = "end"
"""The name of a trace's last step where the chain's end decided."""
ERRORS: Final = range(400, 600)
"""The statuses that a rule may refuse with."""


class Route(msgspec.Struct, frozen=True):
    """Send the request to ``backend``."""

    backend: str
    rule: str


Decision = Route | Reject
Happened = Literal["started", "narrowed", "decided", "passed", "rejected"]


class Step(msgspec.Struct, frozen=True):
    """One line of the trace: what a rule did, or first of all the model."""

    rule: str
    """The rule's name; :data:`MODEL` for the first step, :data:`END` for a choice at the chain's end."""
    outcome: Happened
    why: str
    candidates: tuple[str, ...]
    """What was left after it."""
    shares: Mapping[str, float] = msgspec.field(default_factory=dict)
    """Where the choice was random: backend -> its share of requests like this one, all together 1."""


def decide(facts: Facts, config: Config, view: Snapshot, draw: Draw, trace: list[Step] | None = None) -> Decision:
    """Choose the backend for one request.

    :param trace: collects the steps, for ``explain``.
    """
    standing = Standing(facts, view, draw)
    rejected = _start(standing, config, trace)
    if rejected is not None:
        return rejected
    candidates, chose = standing.candidates, None
    try:
        memory = continued(facts) if len(candidates) > 1 else None
    except BodyError as error:
        return _reject(trace, MODEL, error.reject, candidates)
    for rule in config.rules:
        outcome = _turn(rule, standing, candidates)
        if isinstance(outcome, Pass):
            _note(trace, rule.name, "passed", outcome.why, candidates)
        elif isinstance(outcome, Narrow):
            candidates, chose = outcome.left, rule.name
            decided = len(candidates) == 1 and (memory is None or isinstance(rule, Lookup))
            happened: Happened = "decided" if decided else "narrowed"
            _note(trace, chose, happened, outcome.why, candidates)
            if decided:
                return Route(candidates[0], chose)
        elif isinstance(outcome, Decide):
            if memory is not None:
                return _reject(trace, rule.name, _unnamed(memory, facts.unread, config, rule.name), candidates)
            _note(trace, rule.name, "decided", outcome.why, (outcome.backend,), outcome.shares)
            return Route(outcome.backend, rule.name)
        else:
            return _reject(trace, rule.name, outcome.reject, candidates)
    if memory is not None:
        return _reject(trace, END, _unnamed(memory, facts.unread, config), candidates)
    standing.candidates = candidates
    return _finish(standing, chose, trace)


def unserved(model: str, view: Snapshot) -> Reject:
    """Nobody is known to serve ``model``: 404, or 503 while some engine hasn't told its models yet."""
    return model_not_found(model, view.models) if view.complete else registry_incomplete("model")


def _unnamed(memory: str, unread: bool, config: Config, rule: str | None = None) -> Reject:
    """A follow-up whose engine the client didn't name."""
    lookups = [one.source for one in config.rules if isinstance(one, Lookup)]
    sources = dict.fromkeys(source.told for source in lookups if not (unread and source.kind == "body"))
    return replace(stateful_request(memory, tuple(sources), config.routing_header), rule=rule)


def _start(standing: Standing, config: Config, trace: list[Step] | None) -> Reject | None:
    """The candidates: the backends that serve the request's model."""
    model, view = standing.facts.model, standing.view
    if model is None:
        _note(trace, MODEL, "started", lambda: "the request names no model", standing.candidates)
        return None
    serving = view.serving(model)
    if serving:
        standing.candidates = serving
        _note(trace, MODEL, "started", lambda: f"these serve {quote(model)}", serving)
        return None
    if config.models.unknown == "allow":
        why = f"nobody is known to serve {quote(model)}; unknown models are allowed"
        _note(trace, MODEL, "started", lambda: why, standing.candidates)
        return None
    return _reject(trace, MODEL, unserved(model, view), ())


def _turn(rule: Rule, standing: Standing, candidates: tuple[str, ...]) -> Outcome:
    """What a rule makes of the request, within the candidates; a fault of the rule is a refusal, never a pass."""
    try:
        for test in rule.when:
            if not test.holds(standing.facts):
                return Pass(partial("when {} does not hold".format, test))
        standing.candidates = candidates
        outcome = rule.choose(standing)
        return outcome if type(outcome) is Pass else _within(candidates, outcome, rule)
    except BodyError as error:
        return Refuse(error.reject)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a rule does wrong, the request must not pass
        return Refuse(rule_failed(rule.name, _where(error)))


def _within(candidates: tuple[str, ...], outcome: Outcome, rule: Rule) -> Outcome:
    """What a rule answered, held to the candidates, or the refusal where it is nonsense."""
    if isinstance(outcome, Narrow):
        left = outcome.left
        if len(left) == 1 and left[0] in candidates:  # nearly always, and a fifth of the cost
            return outcome
        left = tuple([name for name in candidates if name in left])
        if left:
            return Narrow(left, outcome.why)
        fault = "it narrowed to no candidate"
    elif isinstance(outcome, Decide):
        if outcome.backend in candidates:
            return outcome
        fault = "it decided for no candidate"
    elif isinstance(outcome, Refuse) and outcome.reject.status in ERRORS:
        return Refuse(replace(outcome.reject, rule=rule.name))
    else:
        fault = f"it answered {type(outcome).__name__}, or a refusal without an error's status"
    return Refuse(rule_failed(rule.name, fault))


def _finish(standing: Standing, chose: str | None, trace: list[Step] | None) -> Decision:
    """The chain has ended without a decision; ``chose`` is the rule that last narrowed the candidates."""
    candidates = standing.candidates
    if len(candidates) == 1:
        _note(trace, END, "decided", lambda: "one candidate is left", candidates)
        return Route(candidates[0], chose or ONLY_CANDIDATE)
    if chose is None:
        reject = Reject(400, "no_route", "No rule chose an engine for this request.")
        return _reject(trace, END, reject, candidates)
    alive = standing.alive(candidates)
    backend = alive[int(standing.draw() * len(alive))]
    shares = dict.fromkeys(alive, 1 / len(alive))
    _note(trace, END, "decided", lambda: f"evenly among what {chose} left", (backend,), lambda: shares)
    return Route(backend, chose)


def _reject(trace: list[Step] | None, step: str, reject: Reject, candidates: tuple[str, ...]) -> Reject:
    _note(trace, step, "rejected", lambda: reject.message, candidates)
    return reject


def _where(error: BaseException) -> str:
    """The kind of an exception and where it was raised; its text may hold a piece of the request."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"


def _note(
    trace: list[Step] | None,
    step: str,
    happened: Happened,
    why: Why,
    candidates: tuple[str, ...],
    shares: Shares = dict,
) -> None:
    if trace is not None:
        trace.append(Step(step, happened, why(), candidates, shares()))
