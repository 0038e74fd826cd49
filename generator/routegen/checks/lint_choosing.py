"""What the lint says of what rules choose, and of what nobody chooses."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Final

from routegen.checks.hits import Checks, Hit, Routes
from routegen.common.severity import Severity
from routegen_router.decide import decide
from routegen_router.models import is_glob
from routegen_router.refusals import Reject
from routegen_router.request import MODEL, Facts
from routegen_router.rules import BUILT_IN, Lookup, NoRoute, Prefer, Rule, Split
from routegen_router.rules.describe import forms, names
from routegen_router.when import Condition

CHECKS: Final = Checks()


@CHECKS.rule(
    "LINT011",
    Severity.WARNING,
    "A model that no backend serves",
    "routes.yaml says of every backend which models it serves, and none is this one.",
)
def _no_such_model(routes: Routes) -> Iterator[Hit]:
    if not routes.told or routes.config.models.unknown == "allow":
        return
    served = [model for backend in routes.config.backends for model in backend.models]
    for path, test in routes.tests:
        about = test.attribute == "model" or (test.source is not None and test.source.body == MODEL)
        text = test.pattern if about else None
        if isinstance(text, str) and not any(_overlap(text, model) for model in served):
            yield Hit(path, f'no backend serves a model like "{text}"', "correct the id, or list the model")


@CHECKS.rule(
    "LINT012",
    Severity.WARNING,
    "Preferred for a model that it doesn't serve",
    "Only backends that serve the request's model can take it, so the rule always passes.",
)
def _never_preferred(routes: Routes) -> Iterator[Hit]:
    for path, rule in routes.rules:
        models = [test.pattern for test in rule.when if test.attribute == "model" and isinstance(test.pattern, str)]
        if not isinstance(rule, Prefer) or not models:
            continue
        bearers = [routes.view.known[name].backend for one in rule.names for name in routes.bearing.get(one, ())]
        if bearers and all(backend.poll is None for backend in bearers):
            served = [model for backend in bearers for model in backend.models]
            for wanted in models:
                if not any(_overlap(wanted, model) for model in served):
                    message = f'none of {", ".join(rule.names)} serves a model like "{wanted}"'
                    yield Hit((*path, "prefer"), message, "prefer those that do, or correct the id")


@CHECKS.rule(
    "LINT013",
    Severity.WARNING,
    "A model that ends in 400",
    "Several backends serve it, and no rule chooses one of them for a request that names none.",
)
def _no_weight(routes: Routes) -> Iterator[Hit]:
    chosen_on_purpose = any(isinstance(rule, NoRoute) for rule in routes.plan.rules)
    for model in routes.view.models if not chosen_on_purpose else ():
        facts = Facts(routes.plan.paths[0], model, {MODEL: model}, {})
        decision = decide(facts, routes.config, routes.view, lambda: 0.0)
        if isinstance(decision, Reject) and decision.code == "no_route":
            serving = ", ".join(routes.view.serving(model))
            message = f'a request for "{model}" that names no engine is refused: no rule chooses among {serving}'
            yield Hit(
                ("spec", "rules"), message, "give one of them a weight in a split, or end with a reject that says so"
            )


@CHECKS.rule(
    "LINT014",
    Severity.INFO,
    "Nothing for requests that name nothing",
    "Where no rule chooses, the client gets 400 with a sentence that speaks of no engine.",
)
def _no_end(routes: Routes) -> Iterator[Hit]:
    decision = decide(Facts(routes.plan.paths[0], None, {}, {}), routes.config, routes.view, lambda: 0.0)
    if isinstance(decision, Reject) and decision.code == "no_route" and decision.rule is None:
        message = "a request that names neither model nor engine is refused without a word about what to name"
        yield Hit(("spec", "rules"), message, "end the chain with a split, or with a reject that says what to send")


@CHECKS.rule("LINT015", Severity.INFO, "A weight of 0", "The backend gets nothing from this split.")
def _zero(routes: Routes) -> Iterator[Hit]:
    for path, rule in routes.rules:
        for name, weight in rule.weights if isinstance(rule, Split) else ():
            if weight == 0:
                yield Hit(
                    (*path, "split", name), f"{name} gets no request by this split", "remove it, or give it a weight"
                )


@CHECKS.rule("LINT016", Severity.WARNING, "Sticky among one", "With one weight there is nothing to stick to.")
def _sticky_to_one(routes: Routes) -> Iterator[Hit]:
    for path, rule in routes.rules:
        if isinstance(rule, Split) and rule.sticky_by is not None:
            names = [name for name, weight in rule.weights if weight]
            backends = {one for name in names for one in routes.bearing.get(name, ())}
            fixed = routes.told or set(names) <= set(routes.view.names)  # of an owner's, engines may tell more
            if len(backends) == 1 and fixed:
                yield Hit((*path, "stickyBy"), f"all requests go to {min(backends)} anyway", "remove it")


@CHECKS.rule(
    "LINT017",
    Severity.WARNING,
    "Preferring everybody",
    "A preference for all backends leaves the candidates as they are.",
)
def _prefers_all(routes: Routes) -> Iterator[Hit]:
    for path, rule in routes.rules:
        if isinstance(rule, Prefer):
            wanted = {one for name in rule.names for one in routes.bearing.get(name, ())}
            if wanted == set(routes.view.names) and len(wanted) > 1:
                yield Hit((*path, "prefer"), "names every backend", "name those that are to come first")


@CHECKS.rule(
    "LINT018",
    Severity.WARNING,
    "A backend that no rule can choose",
    "No rule names it, clients can't, and every model that it serves is served by others that are chosen.",
)
def _never_chosen(routes: Routes) -> Iterator[Hit]:
    if not routes.told or any(_may_choose_any(rule) for rule in routes.plan.rules):
        return
    named = {name for rule in routes.plan.rules for name in _names(rule)}
    for backend in routes.config.backends:
        if named & {backend.name, backend.owner or ""} or not backend.models:
            continue
        alone = [model for model in backend.models if routes.view.serving(model) == (backend.name,)]
        if not alone and not any(map(is_glob, backend.models)):
            path = ("spec", "backends", backend.name)
            yield Hit(path, f"no rule can choose {backend.name}", "name it in a rule, or remove it")


@CHECKS.rule(
    "LINT019",
    Severity.WARNING,
    "A rule behind an end",
    "Where its conditions hold, an earlier rule has ended the chain.",
)
def _behind_an_end(routes: Routes) -> Iterator[Hit]:
    ended: dict[tuple[Condition, ...], str] = {}
    for path, rule in routes.rules:
        ending = next((name for when, name in ended.items() if set(when) <= set(rule.when)), None)
        if ending is not None:
            yield Hit(path, f"is never reached: under the same conditions {ending} ends the chain", "move it up")
        elif rule.ends_chain(routes.bearing):
            ended[rule.when] = rule.name


@CHECKS.rule(
    "LINT021",
    Severity.WARNING,
    "When to fail over, where nothing does",
    "With failover.enabled: false no request goes to a second choice, whatever else failover says.",
)
def _never_fails_over(routes: Routes) -> Iterator[Hit]:
    failover = routes.plan.failover
    for key, given in (("statuses", failover.statuses), ("reset", failover.reset)):
        if given and not failover.enabled:
            yield Hit(("spec", "failover", key), "has no effect: failover is not enabled", "remove it, or enable it")


def _names(rule: Rule) -> Iterator[str]:
    """The names that a rule may send requests to."""
    nothing = {name for name, weight in rule.weights if not weight} if isinstance(rule, Split) else set()
    yield from (name for _, name in names(forms(type(rule))[0], rule) if name not in nothing)


def _may_choose_any(rule: Rule) -> bool:
    """Whether it lets clients name backends, or nobody knows (a rule of another distribution)."""
    return type(rule) not in BUILT_IN or (isinstance(rule, Lookup) and not rule.values)


def _overlap(pattern: str, model: str) -> bool:
    """Whether something could match both; of two globs that is supposed."""
    if is_glob(pattern) and is_glob(model):
        return any(
            one.startswith(other) or other.startswith(one)
            for one, other in [(pattern.partition("*")[0], model.partition("*")[0])]
        )
    return fnmatchcase(model, pattern) or fnmatchcase(pattern, model)
