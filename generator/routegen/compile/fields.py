"""What can be wrong with the fields of the body that rules read."""

from __future__ import annotations

from collections.abc import Iterator

from routegen.common.positions import Path
from routegen.compile import values
from routegen.compile.names import Findings
from routegen.compile.units import field_path
from routegen.spec.models import Spec
from routegen_router.request import MODEL, FieldPath
from routegen_router.when import Bounds


def check_fields(spec: Spec, findings: Findings) -> None:
    """Find fields that the router can't read, or not together.

    A field is text; one that another rule reads something *in* would have to be an object too. What is only measured
    may be anything. The router finds fields by their names as JSON writes them: one that needs escapes isn't found.
    """
    read: dict[FieldPath, str] = {MODEL: "model"}
    for where, text, valued in _fields(spec):
        path = field_path(text)
        if any('"' in key or "\\" in key or not key.isprintable() for key in path):
            findings.add(where, f"{text!r} holds a quote, a backslash or a control character, which can't be read")
        for other, name in read.items() if valued else ():
            (short, whole), (long, part) = sorted(((path, text), (other, name)), key=lambda field: len(field[0]))
            if short != long and long[: len(short)] == short:
                findings.add(
                    where, f'"{whole}" can\'t be text and hold "{part}" as well; rules may read one of the two'
                )
        if valued:
            read.setdefault(path, text)


def _fields(spec: Spec) -> Iterator[tuple[Path, str, bool]]:
    """Where a field stands in routes.yaml, the field, and whether its value is read."""
    for index, rule in enumerate(spec.rules or ()):
        path: Path = ("spec", "rules", index)
        tested = rule.when.body if rule.when is not None else {}
        valued = {
            (*path, "when", "body", name): test.pattern is not None or test.bounds != Bounds()
            for name, test in tested.items()
        }
        for where, source in values.sources(rule, path):
            if source.body is not None:
                yield where, source.body, valued.get(where, True)
