"""What a rule's keys hold, by the types of its class: values for the class, and where sources stand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from routegen.common.positions import Path
from routegen.compile.units import field_path, size
from routegen.spec.rules import RuleSpec, SourceSpec
from routegen.spec.tests import SizeSpec
from routegen_router.request import Source
from routegen_router.rules.describe import Field
from routegen_router.when import Bounds


def fields(rule: RuleSpec) -> Iterator[tuple[Field, Any]]:
    """Every field that routes.yaml gives to the rule, and what it gives; sources as :class:`SourceSpec`."""
    form = rule.FORM
    value = rule.given(form.value)
    yield form.value, value if form.verb.part is None else SourceSpec.model_construct(**{form.verb.part: value})
    yield from ((field, rule.given(field)) for field in form.options)


def resolved(given: Any) -> Any:
    """The value for the rule's class."""
    if isinstance(given, SourceSpec):
        return source(given)
    if isinstance(given, dict):
        return tuple((key, resolved(value)) for key, value in given.items())
    return tuple(map(resolved, given)) if isinstance(given, list) else given


def source(given: SourceSpec) -> Source:
    """Where in a request the value is."""
    if given.body is not None:
        return Source(body=field_path(given.body))
    if given.prefix is not None:
        return Source(prefix=True)
    if given.query is not None:
        return Source(query=given.query)
    return Source(header=str(given.header).lower())


def sources(rule: RuleSpec, path: Path) -> Iterator[tuple[Path, SourceSpec]]:
    """Every value of a request that the rule reads, and where that is said."""
    if rule.when is not None:
        yield from (((*path, "when", "header", name), SourceSpec(header=name)) for name in rule.when.header)
        yield from (((*path, "when", "body", name), SourceSpec(body=name)) for name in rule.when.body)
        yield from (((*path, "when", "query", name), SourceSpec(query=name)) for name in rule.when.query)
    for field, given in fields(rule):
        inline = field is rule.FORM.value and rule.FORM.verb.part is not None
        for where, found in _sources(given, (*path, field.key)):
            yield (
                where if inline else (*where, next(key for key in found.CHOICES if getattr(found, key) is not None)),
                found,
            )


def _sources(given: Any, path: Path) -> Iterator[tuple[Path, SourceSpec]]:
    if isinstance(given, SourceSpec):
        yield path, given
    entries = given.items() if isinstance(given, dict) else enumerate(given) if isinstance(given, list) else ()
    for key, value in entries:
        yield from _sources(value, (*path, key))


def size_bounds(spec: SizeSpec) -> Bounds:
    """The bounds in bytes."""
    given = {"above": spec.above, "below": spec.below, "at_least": spec.at_least, "at_most": spec.at_most}
    return Bounds(**{bound: float(size(text)) for bound, text in given.items() if text is not None})
