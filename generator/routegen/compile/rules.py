"""The rules' part of the plan."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from routegen.compile.chain import check_chain
from routegen.compile.fields import check_fields
from routegen.compile.names import Findings
from routegen.compile.values import fields, resolved, source
from routegen.spec.models import Spec
from routegen.spec.rules import RuleSpec, SourceSpec, WhenSpec
from routegen_router.request import Source
from routegen_router.rules import Lookup, Rule, Split
from routegen_router.when import Condition


def compile_rules(spec: Spec, findings: Findings) -> tuple[Rule, ...]:
    """The chain, with a name for every rule."""
    if spec.rules is None:
        return default_rules(tuple(spec.backends))
    rules = tuple(map(_rule, spec.rules))
    check_chain(spec, rules, findings)
    check_fields(spec, findings)
    return _named(rules)


def default_rules(backends: Sequence[str]) -> tuple[Rule, ...]:
    """What a file without rules means: by field, by owner, else evenly."""
    return _named(
        (
            Lookup(name="", source=Source(body=("inference_server",))),
            Lookup(name="", source=Source(body=("owned_by",))),
            Split(name="", weights=tuple((name, 1.0) for name in backends)),
        )
    )


def _rule(spec: RuleSpec) -> Rule:
    """The rule, with the name that the file gives it: empty for none."""
    values = {field.name: resolved(given) for field, given in fields(spec)}
    return spec.FORM.rule(name=spec.name or "", when=_conditions(spec.when), **values)


def _conditions(when: WhenSpec | None) -> tuple[Condition, ...]:
    if when is None:
        return ()
    tests = [
        *(Condition(pattern=pattern, source=source(SourceSpec(header=name))) for name, pattern in when.header.items()),
        *(Condition(pattern=pattern, source=source(SourceSpec(body=path))) for path, pattern in when.body.items()),
    ]
    if when.model is not None:
        tests.append(Condition(pattern=when.model, attribute="model"))
    if when.path is not None:
        tests.append(Condition(pattern=when.path, attribute="path"))
    return tuple(tests)


def _named(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """The given names; the others are made from what the rules say, with #2, #3 … where that is taken."""
    taken = {rule.name for rule in rules if rule.name}
    named = []
    for rule in rules:
        name = base = rule.name or rule.title()
        number = 1
        while not rule.name and name in taken:
            number += 1
            name = f"{base}#{number}"
        taken.add(name)
        named.append(replace(rule, name=name))
    return tuple(named)
