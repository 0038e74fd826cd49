"""The structural half of a CustomResourceDefinition: OpenAPI v3 schemas as the API server reads them.

The value checks are JSON Schema's, by the package ``jsonschema``; what Kubernetes has of its own (unknown fields
are refused, defaults, ``x-kubernetes-…``) is here. Source: Kubernetes' "Extend the Kubernetes API with
CustomResourceDefinitions".
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from jsonschema import Draft4Validator, FormatChecker

Schema = Mapping[str, Any]
FORMATS = FormatChecker(formats=())
_LONG = 300
"""Longer messages are cut: they show the whole value."""


def with_defaults(value: Any, schema: Schema) -> Any:
    """A copy of ``value`` with every default filled in, as the API server does before it validates."""
    if isinstance(value, Mapping):
        properties = schema.get("properties", {})
        extra = schema.get("additionalProperties")
        full = {
            key: with_defaults(item, properties.get(key, extra if isinstance(extra, Mapping) else {}))
            for key, item in value.items()
        }
        for key, child in properties.items():
            if key not in full and "default" in child:
                full[key] = with_defaults(child["default"], child)
        return full
    if isinstance(value, list):
        return [with_defaults(item, schema.get("items", {})) for item in value]
    return value


def wrong_shapes(value: Any, schema: Schema) -> Iterator[str]:
    """Everything about ``value`` that ``schema`` rules out, as ``.path: sentence``."""
    validator = Draft4Validator(_json_schema(schema), format_checker=FORMATS)
    for error in validator.iter_errors(value):
        said = error.message if len(error.message) < _LONG else f"{error.message[:_LONG]} … {error.message[-80:]}"
        yield f"{_path(error.absolute_path)}: {said}"
    yield from _clashing_items(value, schema, "")


def _path(parts: Any) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)


def _json_schema(schema: Schema) -> dict[str, Any]:
    """The same schema in plain JSON Schema."""
    plain = {key: value for key, value in schema.items() if not key.startswith("x-") and key != "default"}
    if "properties" in schema:
        plain["properties"] = {key: _json_schema(child) for key, child in schema["properties"].items()}
    if isinstance(schema.get("items"), Mapping):
        plain["items"] = _json_schema(schema["items"])
    extra = schema.get("additionalProperties")
    if isinstance(extra, Mapping):
        plain["additionalProperties"] = _json_schema(extra)
    elif extra is None and schema.get("type") == "object" and not schema.get("x-kubernetes-preserve-unknown-fields"):
        plain["additionalProperties"] = False
    if plain.pop("nullable", False) and "type" in plain:
        plain["type"] = [plain["type"], "null"]
    return plain


def _clashing_items(value: Any, schema: Schema, path: str) -> Iterator[str]:
    """Lists that are sets or maps with an entry twice."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            extra = schema.get("additionalProperties")
            child = schema.get("properties", {}).get(key, extra if isinstance(extra, Mapping) else {})
            yield from _clashing_items(item, child, f"{path}.{key}")
    elif isinstance(value, list):
        seen: list[Any] = []
        for index, item in enumerate(value):
            yield from _clashing_items(item, schema.get("items", {}), f"{path}[{index}]")
            match schema.get("x-kubernetes-list-type"):
                case "set":
                    key = item
                case "map":
                    key = [item.get(name) for name in schema["x-kubernetes-list-map-keys"]]
                case _:
                    continue
            if key in seen:
                yield f"{path}[{index}]: duplicate value {key!r}"
            seen.append(key)


@FORMATS.checks("int32")
def _int32(value: object) -> bool:
    return not isinstance(value, int) or -(2**31) <= value < 2**31


@FORMATS.checks("int64")
def _int64(value: object) -> bool:
    return not isinstance(value, int) or -(2**63) <= value < 2**63


@FORMATS.checks("byte", raises=ValueError)
def _byte(value: object) -> bool:
    return not isinstance(value, str) or bool(base64.b64decode(value, validate=True)) or not value


@FORMATS.checks("date-time", raises=ValueError)
def _date_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@FORMATS.checks("ipv4", raises=ValueError)
def _ipv4(value: object) -> bool:
    return not isinstance(value, str) or bool(ipaddress.IPv4Address(value))


@FORMATS.checks("ipv6", raises=ValueError)
def _ipv6(value: object) -> bool:
    return not isinstance(value, str) or bool(ipaddress.IPv6Address(value))
