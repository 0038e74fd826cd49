"""The rules' part of the plan."""

from __future__ import annotations

from collections.abc import Sequence

from routegen.compile.chain import check_chain
from routegen.compile.fields import check_fields
from routegen.compile.names import Findings
from routegen.compile.units import field_path
from routegen.plan import Condition, Lookup, Prefer, Refuse, Rule, Source, Split
from routegen.spec.models import Spec
from routegen.spec.rules import BodyRule, HeaderRule, PreferRule, RejectRule, RuleSpec, SplitRule, WhenSpec


def compile_rules(spec: Spec, findings: Findings) -> tuple[Rule, ...]:
    """The chain, with a name for every rule."""
    if spec.rules is None:
        return default_rules(tuple(spec.backends))
    check_chain(spec, findings)
    check_fields(spec, findings)
    names = _rule_names(spec.rules)
    return tuple(_rule(name, rule) for name, rule in zip(names, spec.rules, strict=True))


def default_rules(backends: Sequence[str]) -> tuple[Rule, ...]:
    """What a file without rules means: by field, by owner, else evenly."""
    return (
        Lookup("body:inference_server", Source(body=("inference_server",))),
        Lookup("body:owned_by", Source(body=("owned_by",))),
        Split("split", tuple((name, 1.0) for name in backends)),
    )


def _rule(name: str, rule: RuleSpec) -> Rule:
    when = _conditions(rule.when)
    match rule:
        case BodyRule() | HeaderRule():
            source = _source(body=rule.body) if isinstance(rule, BodyRule) else _source(header=rule.header)
            return Lookup(name, source, tuple(rule.values.items()), rule.on_unknown, rule.on_mismatch, when)
        case PreferRule():
            return Prefer(name, tuple(rule.prefer), when)
        case SplitRule():
            sticky = None
            if rule.sticky_by is not None:
                sticky = _source(body=rule.sticky_by.body, header=rule.sticky_by.header)
            return Split(name, tuple(rule.split.items()), sticky, when)
        case RejectRule():
            return Refuse(name, rule.reject, when)


def _source(*, body: str | None = None, header: str | None = None) -> Source:
    return Source(body=field_path(body)) if body is not None else Source(header=str(header).lower())


def _conditions(when: WhenSpec | None) -> tuple[Condition, ...]:
    if when is None:
        return ()
    tests = [Condition(pattern, _source(header=name)) for name, pattern in when.header.items()]
    tests += [Condition(pattern, _source(body=path)) for path, pattern in when.body.items()]
    if when.model is not None:
        tests.append(Condition(when.model, attribute="model"))
    if when.path is not None:
        tests.append(Condition(when.path, attribute="path"))
    return tuple(tests)


def _rule_names(rules: Sequence[RuleSpec]) -> list[str]:
    """The given names; the others are made from the verb, with #2, #3 … where that is taken."""
    taken = {rule.name for rule in rules if rule.name is not None}
    names = []
    for rule in rules:
        name = base = rule.name or _base_name(rule)
        number = 1
        while rule.name is None and name in taken:
            number += 1
            name = f"{base}#{number}"
        taken.add(name)
        names.append(name)
    return names


def _base_name(rule: RuleSpec) -> str:
    match rule:
        case BodyRule():
            return f"body:{'.'.join(field_path(rule.body))}"
        case HeaderRule():
            return f"header:{rule.header.lower()}"
        case PreferRule():
            return f"prefer:{','.join(rule.prefer)}"
        case SplitRule():
            return "split"
        case RejectRule():
            return "reject"
