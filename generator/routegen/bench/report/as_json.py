"""The report for programs: the model itself, field by field, and the JSON Schema that describes it."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from . import model, sweep_model
from .model import Report
from .sweep_model import SweepReport

_decode_object: Final = msgspec.json.Decoder(dict[str, Any]).decode
_TITLES: Final = {
    Report: f"routegen bench report, version {model.SCHEMA_VERSION}",
    SweepReport: f"routegen bench sweep's report, version {sweep_model.SCHEMA_VERSION}",
}
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def render(report: Report | SweepReport) -> str:
    """One JSON object, indented; times are in seconds, shares are parts of 1."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n"


def schema(kind: type[Report | SweepReport] = Report) -> dict[str, Any]:
    """The schema, made of the model's types and of the sentences written beside their fields."""
    (main,), parts = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    for part in _structs(kind):
        described = parts[part.__name__]["properties"]
        for field, sentence in _sentences(part).items():
            if field in described:
                described[field] = {**described[field], "description": sentence}
    title = _TITLES[kind]
    whole = {"$schema": _DIALECT, "title": title, **main, "$defs": parts}
    return _decode_object(msgspec.json.encode(whole))  # defaults: tuples become lists


def _structs(kind: Any) -> Iterator[type[msgspec.Struct]]:
    """``kind`` and every struct that its fields lead to, each once."""
    waiting, seen = [kind], set[type[msgspec.Struct]]()
    while waiting:
        found = waiting.pop()
        if inspect.isclass(found) and issubclass(found, msgspec.Struct):
            if found in seen:
                continue
            seen.add(found)
            waiting += [field.type for field in msgspec.structs.fields(found)]
            yield found
        else:
            waiting += getattr(found, "__args__", ())


def _sentences(struct: type[msgspec.Struct]) -> Mapping[str, str]:
    """Field -> the string that stands below it, inherited fields included."""
    found: dict[str, str] = {}
    for kind in reversed(struct.__mro__):
        if kind is struct or (issubclass(kind, msgspec.Struct) and kind is not msgspec.Struct):
            found |= _below_fields(kind)
    return found


def _below_fields(kind: type) -> Iterator[tuple[str, str]]:
    (tree,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(tree, ast.ClassDef)
    for field, below in zip(tree.body, tree.body[1:], strict=False):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(sentence))):
                yield name, " ".join(sentence.split())


if __name__ == "__main__":
    chosen: type[Report | SweepReport] = SweepReport if "sweep" in sys.argv else Report
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(schema(chosen)), indent=2) + b"\n")
