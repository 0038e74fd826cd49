"""What can be wrong with the fields of the body that rules read."""

from __future__ import annotations

from collections.abc import Iterator

from routegen.common.positions import Path
from routegen.compile.names import Findings
from routegen.compile.units import field_path
from routegen.plan import FieldPath
from routegen.spec.models import Spec
from routegen.spec.rules import BodyRule, SplitRule

_MODEL: FieldPath = ("model",)


def check_fields(spec: Spec, findings: Findings) -> None:
    """Find fields that the router can't read, or not together.

    A field is text; one that another rule reads something *in* would have to be an object too. The router finds
    fields by their names as JSON writes them, so a name that needs escapes isn't found.
    """
    read: dict[FieldPath, str] = {_MODEL: "model"}
    for where, text in _fields(spec):
        path = field_path(text)
        if any('"' in key or "\\" in key or not key.isprintable() for key in path):
            findings.add(where, f"{text!r} holds a quote, a backslash or a control character, which can't be read")
        for other, name in read.items():
            (short, whole), (long, part) = sorted(((path, text), (other, name)), key=lambda field: len(field[0]))
            if short != long and long[: len(short)] == short:
                findings.add(
                    where, f'"{whole}" can\'t be text and hold "{part}" as well; rules may read one of the two'
                )
        read.setdefault(path, text)


def _fields(spec: Spec) -> Iterator[tuple[Path, str]]:
    """Where a field stands in routes.yaml, and the field."""
    for index, rule in enumerate(spec.rules or ()):
        path: Path = ("spec", "rules", index)
        if rule.when is not None:
            yield from (((*path, "when", "body", name), name) for name in rule.when.body)
        if isinstance(rule, BodyRule):
            yield (*path, "body"), rule.body
        if isinstance(rule, SplitRule) and rule.sticky_by is not None and rule.sticky_by.body is not None:
            yield (*path, "stickyBy", "body"), rule.sticky_by.body
