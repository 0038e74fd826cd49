"""The tables of docs/routes-yaml.md, made from the JSON Schema, which is made from the models that read the file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from routegen.spec.schema import json_schema

Schema = dict[str, Any]

_ENTRY = {"spec.backends": "spec.backends.NAME"}
"""Mappings whose keys are the user's -> how their entries' path is written."""


def reference() -> str:
    """Every mapping of routes.yaml with its keys, in the order of the file; each kind of mapping once."""
    root = json_schema()
    places: dict[str, str] = {}
    _find(root, root, "", places)
    sections = [_table(root, root, "", places)]
    for name, path in places.items():
        definition = _mapping(root["$defs"][name])
        sections.append(f"### `{path}`\n\n{definition['description']}\n\n{_table(root, definition, path, places)}")
    return "\n\n".join(sections) + "\n"


def _find(root: Schema, schema: Schema, path: str, places: dict[str, str]) -> None:
    """Note where each definition is first met."""
    for key, entry in schema["properties"].items():
        for where, name in _mappings(entry, f"{path}.{key}" if path else key):
            if name not in places:
                places[name] = where
                _find(root, _mapping(root["$defs"][name]), where, places)


def _table(root: Schema, schema: Schema, path: str, places: dict[str, str]) -> str:
    """The keys of one mapping, those that must be there first."""
    required = schema.get("required", [])
    lines = ["| key | value | default | |", "|---|---|---|---|"]
    for key, entry in sorted(schema["properties"].items(), key=lambda item: item[0] not in required):
        below = f"{path}.{key}" if path else key
        default = "required" if key in required else _default(entry)
        description = (_resolved(root, entry) | entry)["description"].replace("|", "\\|")
        lines.append(f"| `{key}` | {_type(root, entry, below, places)} | {default} | {description} |")
    return "\n".join(lines)


def _mappings(entry: Schema, path: str) -> Iterator[tuple[str, str]]:
    """The mappings that an entry can hold: path and definition."""
    if "$ref" in entry:
        yield path, _name(entry)
    elif one := _one_or_many(entry):
        yield path, _name(one)
    elif "items" in entry:
        yield from _mappings(entry["items"], f"{path}[]")
    elif isinstance(entry.get("additionalProperties"), dict):
        yield from _mappings(entry["additionalProperties"], _ENTRY.get(path, path))
    else:
        for member in entry.get("oneOf", []) if "oneOf" in entry and _is_verbs(entry) else []:
            name = _name(member)
            verb = name.removesuffix("Rule").lower()
            yield f"{path} {verb}", name


def _one_or_many(entry: Schema) -> Schema | None:
    """What stands there alone or in a list, if it is so."""
    members = entry.get("oneOf", [])
    found: Schema | None = next((one for one in members if {"items": one} == _items(members)), None)
    return found


def _items(members: list[Schema]) -> Schema | None:
    return next(({"items": one["items"]} for one in members if "items" in one), None)


def _type(root: Schema, entry: Schema, path: str, places: dict[str, str]) -> str:
    """What may stand there, in words; a mapping is a link to its section."""
    if one := _one_or_many(entry):
        return f"{_type(root, one, path, places)} or a list of them"
    if "oneOf" in entry and not _is_verbs(entry):
        return " or ".join(_type(root, member, path, places) for member in entry["oneOf"])
    if "oneOf" in entry:
        return " or ".join(_link(where, where.split()[1]) for where, _ in _mappings(entry, path))
    if "$ref" in entry:
        link = _link(places[_name(entry)], "mapping")
        forms = root["$defs"][_name(entry)].get("anyOf", [])
        return f"{_plain(forms[0])} or {link}" if forms else link
    if "items" in entry:
        return f"list of {_type(root, entry['items'], f'{path}[]', places)}"
    if isinstance(entry.get("additionalProperties"), dict):
        return f"mapping to {_type(root, entry['additionalProperties'], path, places)}"
    return _plain(entry)


def _is_verbs(entry: Schema) -> bool:
    """Whether its forms are mappings with a section each."""
    return all("$ref" in member for member in entry["oneOf"])


def _plain(entry: Schema) -> str:
    """The words for a single value."""
    if "const" in entry or "enum" in entry:
        values = entry.get("enum", [entry.get("const")])
        return ", ".join(f"`{value if isinstance(value, str) else json.dumps(value)}`" for value in values)
    if "minimum" in entry and "maximum" in entry:
        return f"{'number' if entry['type'] == 'number' else 'whole number'}, {entry['minimum']} to {entry['maximum']}"
    return str(
        entry.get("title") or {"boolean": "`true`, `false`", "string": "text", "number": "number"}[entry["type"]]
    )


def _default(entry: Schema) -> str:
    if "default" not in entry or entry["default"] in ([], {}):
        return ""
    value = entry["default"]
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _mapping(definition: Schema) -> Schema:
    """The mapping among a definition's forms."""
    found = definition["anyOf"][-1] if "anyOf" in definition else definition
    assert isinstance(found, dict)
    return found


def _resolved(root: Schema, entry: Schema) -> Schema:
    return _mapping(root["$defs"][_name(entry)]) if "$ref" in entry else {}


def _name(entry: Schema) -> str:
    return str(entry["$ref"]).removeprefix("#/$defs/")


def _link(path: str, words: str) -> str:
    anchor = "".join(char for char in path.lower() if char.isalnum() or char in "-_ ").replace(" ", "-")
    return f"[{words}](#{anchor})"
