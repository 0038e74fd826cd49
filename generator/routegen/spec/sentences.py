"""What pydantic found, as sentences for people."""

from __future__ import annotations

from typing import Any, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from routegen.common.positions import Path
from routegen.common.veiled import Unsaid, veiled
from routegen.common.words import choices, did_you_mean
from routegen.spec.backends import ApiKeySpec
from routegen.spec.forms import UNIONS, at, bare, form, inside
from routegen.spec.rules import Verbs
from routegen.spec.scalars import PROBLEM, show

_BOOLEANS = {"y": "true", "yes": "true", "on": "true", "true": "true"} | {
    "n": "false",
    "no": "false",
    "off": "false",
    "false": "false",
}
"""YAML 1.1's words and quoted booleans, which YAML 1.2 reads as text -> what was meant."""
SECRETIVE = "apiKey"
"""Below this key nothing is repeated that isn't ours: people write the key itself where its place is to be said."""
_KUBERNETES_KEYS = frozenset({"status", "data", "stringData", "items"})


def place(error: ErrorDetails, file: type[BaseModel]) -> Path:
    """Where in the file the error is: pydantic's location without the names of union members."""
    path: list[str | int] = []
    annotation: Any = file
    for part in error["loc"]:
        owner = bare(annotation)
        annotation = inside(owner, part)
        if part == "[key]" and error["type"] != "extra_forbidden":
            break  # pydantic's way to say: the key itself is wrong
        if get_origin(owner) not in UNIONS:
            path.append(part)
    return tuple(path)


def shown(path: Path) -> Path:
    """As much of a path as may be shown: below :data:`SECRETIVE` only keys that are known there."""
    if SECRETIVE not in path:
        return path
    end = path.index(SECRETIVE) + 1
    known = {field.alias for field in ApiKeySpec.model_fields.values()}
    return path if set(path[end:]) <= known else path[:end]


def sentence(  # noqa: C901, PLR0912 - one line for each kind of error
    error: ErrorDetails, file: type[BaseModel], verbs: Verbs
) -> str:
    """What is wrong and what would be right."""
    value, context = error["input"], error.get("ctx", {})
    if isinstance(value, str) and SECRETIVE in error["loc"]:
        value = Unsaid(value)
    match error["type"]:
        case kind if kind == PROBLEM:
            return str(context["sentence"])
        case "missing":
            return _missing(error["loc"], file)
        case "extra_forbidden":
            return _unknown_key(error["loc"], file, verbs)
        case "literal_error":
            expected = str(context["expected"]).replace("'", "").replace("True", "true")
            return f"must be {expected}, not {show(value)}"
        case "union_tag_not_found":
            return _no_verb(value, verbs)
        case "string_type":
            return _not_text(value)
        case "bool_type":
            return _not_boolean(value)
        case "int_type" | "float_type":
            return _not_a_number(value, "a whole number" if error["type"] == "int_type" else "a number")
        case "list_type":
            return _not_a_list(value, form(*at(error["loc"], file)))
        case "dict_type" | "model_type":
            return f"must be a mapping such as {form(*at(error['loc'], file))}, not {show(value)}"
        case "greater_than_equal":
            return f"must be at least {context['ge']:,g}, not {show(value)}"
        case "less_than_equal":
            return f"must be at most {context['le']:.0f}, not {show(value)}"
        case "too_short":
            return "must not be empty"
        case "too_long":
            return f"has {context['actual_length']} entries; at most {context['max_length']} are possible"
        case "string_too_long":
            return f"is {len(value)} characters long; at most {context['max_length']} are possible here"
        case "finite_number":
            return f"must be a finite number, not {value}"
    return error["msg"]


def _missing(location: tuple[str | int, ...], file: type[BaseModel]) -> str:
    right = form(*at(location, file))
    return "is missing" if right == "…" else f"is missing; write {location[-1]}: {right}"


def _not_a_list(value: Any, right: str) -> str:
    if isinstance(value, dict) or right != "[one, two]":
        return f"must be a list such as {right}, not {show(value)}"
    plain = isinstance(value, str) and veiled(value) == value
    return f"must be a list, not {show(value)}; one entry is written [{value if plain else '…'}]"


def _not_text(value: Any) -> str:
    if isinstance(value, dict | list):
        return f"must be text, not {show(value)}"
    return f"must be text, not {'true or false' if isinstance(value, bool) else 'a number'}; put it in quotes"


def _not_boolean(value: Any) -> str:
    if isinstance(value, str) and value.lower() in _BOOLEANS:
        return f"must be true or false, not the text {show(value)}; write {_BOOLEANS[value.lower()]}, without quotes"
    return f"must be true or false, not {show(value)}"


def _not_a_number(value: Any, kind: str) -> str:
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            pass
        else:
            return f"must be {kind}; write it without quotes"
    return f"must be {kind}, not {show(value)}"


def _no_verb(value: Any, verbs: Verbs) -> str:
    if not isinstance(value, dict):
        return f"must be a rule such as {{body: inference_server}}, not {show(value)}"
    given = verbs.of(value)
    if given:
        return f"has {' and '.join(given)}; a rule has exactly one of {', '.join(verbs.known)}: write two rules"
    strange = [str(key) for key in value if key not in {"name", "when"} and not verbs.taking(str(key))]
    if not strange:
        return f"needs exactly one of {', '.join(verbs.known)}"
    hints = {key: did_you_mean(key, verbs.known) for key in strange}
    key = next((key for key, hint in hints.items() if hint), strange[0])
    brought = "" if hints[key] else "; a package may bring it (docs/plugins.md)"
    return f"unknown verb {show(key)}; {choices(key, verbs.known)}{brought}"


def _unknown_key(location: tuple[str | int, ...], file: type[BaseModel], verbs: Verbs) -> str:
    *parents, key = location
    if not parents and key in _KUBERNETES_KEYS:
        return "does not belong here: routes.yaml is a local file for routegen, not a Kubernetes object"
    verb = str(parents[-1]).strip("<>") if parents else ""
    owners = verbs.taking(str(key)) if verb in verbs.known else ()
    if owners:
        return f"goes with {' or '.join(owners)}, not with {verb}"
    known = sorted(str(field.alias) for field in bare(at(parents, file)[0]).model_fields.values())
    return f"unknown key; {choices(str(key), known)}"
