"""The rules' part of the plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from routegen.compile.chain import check_chain
from routegen.compile.fields import check_fields
from routegen.compile.names import Findings
from routegen.compile.values import fields, resolved, size_bounds, source
from routegen.spec.models import Spec
from routegen.spec.rules import RuleSpec, SourceSpec, WhenSpec
from routegen.spec.tests import FieldTestSpec, HeaderTestSpec
from routegen_router.request import Source
from routegen_router.rules import Lookup, Rule, Split
from routegen_router.when import Bounds, Condition


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
        *(test for name, spec in when.header.items() for test in _tests(spec, source(SourceSpec(header=name)))),
        *(test for path, spec in when.body.items() for test in _tests(spec, source(SourceSpec(body=path)))),
        *(test for name, spec in when.query.items() for test in _tests(spec, source(SourceSpec(query=name)))),
    ]
    if when.size is not None:
        tests.append(Condition(bounds=size_bounds(when.size), attribute="size"))
    if when.model is not None:
        tests.append(Condition(pattern=when.model, attribute="model"))
    if when.path is not None:
        tests.append(Condition(pattern=when.path, attribute="path"))
    return tuple(tests)


def _tests(spec: HeaderTestSpec | FieldTestSpec, where: Source) -> Iterator[Condition]:
    """What one value must be."""
    if spec.pattern is not None:
        yield Condition(pattern=spec.pattern, source=where)
    if spec.present is not None:
        yield Condition(present=spec.present, source=where)
    if spec.bounds != Bounds():
        yield Condition(bounds=spec.bounds, source=where)
    if isinstance(spec, FieldTestSpec):
        if spec.items is not None:
            yield Condition(measure="items", bounds=spec.items.bounds, source=where)
        if spec.characters is not None:
            yield Condition(measure="characters", bounds=spec.characters.bounds, source=where)


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
