"""The CEL half of a CustomResourceDefinition: ``x-kubernetes-validations``.

Each rule sees its own place in the object as ``self``. Source: Kubernetes' "Validation rules" for custom
resources, and its CEL function library.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import cel

Schema = Mapping[str, Any]

_KEYWORDS = {
    *("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import"),
    *("let", "loop", "package", "namespace", "return", "var", "void", "while"),
}
_SYMBOLS = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_UNITS = ("", "K", "M", "G", "T", "P", "E")


def broken_rules(value: Any, schema: Schema) -> Iterator[str]:
    """The message of every rule that ``value``, with defaults filled in, breaks, as ``.path: message``."""
    yield from _walk(value, schema, "")


def _walk(value: Any, schema: Schema, path: str) -> Iterator[str]:
    for rule in schema.get("x-kubernetes-validations", ()):
        # Rules on oldSelf speak of updates; there is none here.
        if "oldSelf" not in rule["rule"]:
            yield from _evaluate(rule, value, schema, path)
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _walk(item, _child(schema, key), f"{path}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _walk(item, schema.get("items", {}), f"{path}[{index}]")


def _evaluate(rule: Mapping[str, str], value: Any, schema: Schema, path: str) -> Iterator[str]:
    context = cel.Context(variables={"self": _as_cel(value, schema)})
    for name, function in _FUNCTIONS.items():
        context.add_function(name, function)
    try:
        result = _program(rule["rule"]).execute(context)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong in a rule, the API server calls it a refusal
        result = error
    if result is not True:
        reason = "" if result is False else f" ({result})"
        yield f"{path}: {rule['message']}{reason}"


@cache
def _program(source: str) -> Any:
    return cel.compile(source)


def _child(schema: Schema, key: str) -> Schema:
    extra = schema.get("additionalProperties")
    child = schema.get("properties", {}).get(key, extra)
    return child if isinstance(child, Mapping) else {}


def _as_cel(value: Any, schema: Schema) -> Any:
    """The value as rules see it: fields under names that CEL can spell, numbers of the schema's type."""
    if isinstance(value, Mapping):
        known = schema.get("properties", {})
        return {
            _escape(key) if key in known else key: _as_cel(item, _child(schema, key)) for key, item in value.items()
        }
    if isinstance(value, list):
        return [_as_cel(item, schema.get("items", {})) for item in value]
    return float(value) if schema.get("type") == "number" else value


def _escape(name: str) -> str:
    if name in _KEYWORDS:
        return f"__{name}__"
    return re.sub(r"__|[./-]", lambda found: _SYMBOLS[found.group()], name)


def _quantity(text: str) -> int:
    """A quantity in thousandths."""
    found = re.fullmatch(r"([-+]?[0-9]+)(?:(m)|([kMGTPE]?)|([KMGTPE])i)", text)
    if found is None:
        raise ValueError(f"{text} is not a quantity")
    number, milli, decimal, binary = found.groups()
    if milli:
        return int(number)
    factor: int = (1024 if binary else 1000) ** _UNITS.index((binary or decimal).upper())
    return int(number) * factor * 1000


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    # Of Kubernetes' and CEL's extension libraries; the evaluator has the core language only.
    "quantity": _quantity,
    "isGreaterThan": operator.gt,
    "isLessThan": operator.lt,
    "split": str.split,
    "upperAscii": str.upper,
    "indexOf": str.find,
    "lastIndexOf": str.rfind,
}
