"""What two plans say otherwise: their settings, backends and rules, in the words of routes.yaml.

Plans are compared field by field, whatever fields there are, so that none is forgotten; the tables here only say how
fields are called and shown. A line begins with ``+`` for what came, ``-`` for what went, ``~`` for what changed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

import msgspec

from routegen.emit.kubernetes.objects import quantity
from routegen.plan import (
    ApiKey,
    Backend,
    Failover,
    Gateway,
    Listener,
    ListenerTLS,
    Passthrough,
    Plan,
    UpstreamTLS,
)
from routegen.plan.router import Identity, Router
from routegen_router.config import Models
from routegen_router.rules import Prefer, Rule, Split
from routegen_router.rules.describe import forms

_APART: Final = frozenset({"backends", "rules"})
"""Fields of the plan that have lines of their own."""
_KEYS: Final[Mapping[tuple[type, str], str]] = {
    (Plan, "name"): "metadata.name",
    (Plan, "namespace"): "metadata.namespace",
    (Router, "failure_backend"): "failure",
    (Models, "interval"): "poll.interval",
    (Models, "timeout"): "poll.timeout",
    (ListenerTLS, "secret"): "secretName",
    (UpstreamTLS, "verify"): "insecureSkipVerify",
    (ApiKey, "secret"): "secretName",
    (Backend, "owner"): "ownedBy",
    (Backend, "reach"): "where it is reached",
    (Backend, "poll_urls"): "where it is asked",
    (Backend, "seconds"): "second choices",
    (Backend, "first_byte"): "timeouts.firstByte",
    (Backend, "renames"): "other names of models",
    (Backend, "strips"): "stripRoutingFields",
    (Split, "weights"): "shares",
}
"""What a field is called, where it isn't by its own name in camelCase."""
_UNORDERED: Final = frozenset(
    {
        (Plan, "paths"),
        (Gateway, "hostnames"),
        (Gateway, "listeners"),
        (Router, "resources"),
        (Router, "addresses"),
        (Failover, "statuses"),
        (Backend, "models"),
    }
)
"""Lists whose order means nothing."""
_SHOWN: Final[Mapping[tuple[type, str], Callable[[Any], str]]] = {
    (Plan, "max_body_bytes"): quantity,
    (Gateway, "memory"): quantity,
    (Router, "max_inflight_bytes"): quantity,
    (Router, "failure_backend"): lambda name: name or "closed",
    (Backend, "first_byte"): lambda seconds: f"{seconds:.15g}s" if seconds is not None else "none",
    (Models, "interval"): lambda seconds: f"{seconds:.15g}s",
    (Models, "timeout"): lambda seconds: f"{seconds:.15g}s",
}
_UNSHOWN: Final = frozenset(
    {(ListenerTLS, name) for name in ("secret", "cert_file", "key_file")}
    | {(Identity, name) for name in ("cert_file", "key_file", "ca_file")}
)
"""What only has its place told, as a key might have been written there."""


def settings(old: Plan, new: Plan) -> Iterator[str]:
    """A line for each setting that differs: ``~ spec.models.unknown: reject -> allow``."""
    for name in _fields(old):
        if name not in _APART:
            path = key(Plan, name)
            yield from _setting(path if path.startswith("metadata.") else f"spec.{path}", old, new, name)


def backends(old: Plan, new: Plan) -> Iterator[str]:
    """A line for each backend that came, went or changed, without values: an address may hold a password."""
    before, after = ({backend.name: backend for backend in plan.backends} for plan in (old, new))
    yield from (f"- {name}" for name in before if name not in after)
    yield from (f"+ {name}" for name in after if name not in before)
    for name in (name for name in before if name in after):
        if words := list(_words("", before[name], after[name])):
            yield f"~ {name}: {', '.join(words)}"


def rules(old: Sequence[Rule], new: Sequence[Rule]) -> Iterator[str]:
    """A line for each rule that came, went or changed, and for another order."""
    before, after = ({rule.name: rule for rule in rules} for rules in (old, new))
    yield from (f"- {name}" for name in before if name not in after)
    yield from (f"+ {name}" for name in after if name not in before)
    for name in (name for name in before if name in after):
        one, other = before[name], after[name]
        if type(one) is not type(other):
            yield f"~ {name}: another kind of rule"
        elif changed := [field for field in one.__struct_fields__ if _means(one, field) != _means(other, field)]:
            keys = _rule_keys(one)
            yield f"~ {name}: {', '.join(keys.get(field, field) for field in changed)}"
    common = [[rule.name for rule in rules if rule.name in before and rule.name in after] for rules in (old, new)]
    if common[0] != common[1]:
        yield f"~ the order: {', '.join(common[0])} -> {', '.join(common[1])}"


def key(kind: type, name: str) -> str:
    """What a field of the plan is called in routes.yaml, below what it is a part of."""
    first, *rest = name.split("_")
    return _KEYS.get((kind, name), first + "".join(map(str.capitalize, rest)))


def _fields(value: Any) -> tuple[str, ...]:
    """The names of its fields, where it has some."""
    if isinstance(value, msgspec.Struct):
        return value.__struct_fields__
    return tuple(field.name for field in dataclasses.fields(value)) if dataclasses.is_dataclass(value) else ()


def _setting(path: str, old: Any, new: Any, name: str) -> Iterator[str]:
    """What differs in one field of two objects of the same kind."""
    one, other, place = getattr(old, name), getattr(new, name), (type(old), name)
    if place in _UNSHOWN:
        yield from [f"~ {path}"] if one != other else ()
    elif isinstance(one, tuple) and isinstance(other, tuple):
        yield from _entries(path, one, other, ordered=place not in _UNORDERED)
    else:
        yield from _values(path, one, other, _SHOWN.get(place, _shown))


def _values(path: str, one: Any, other: Any, show: Callable[[Any], str]) -> Iterator[str]:
    if one == other:
        return
    if type(one) is type(other) and (names := _fields(one)):
        for name in names:
            yield from _setting(f"{path}.{key(type(one), name)}", one, other, name)
    elif isinstance(one, tuple) and isinstance(other, tuple):
        yield from _entries(path, one, other, ordered=False)
    else:
        yield f"~ {path}: {show(one)} -> {show(other)}"


def _entries(path: str, old: tuple[Any, ...], new: tuple[Any, ...], *, ordered: bool) -> Iterator[str]:
    before, after = (dict(map(_entry, entries)) for entries in (old, new))
    for mark, given, others in (("-", before, after), ("+", after, before)):
        for name in (name for name in given if name not in others):
            yield f"{mark} {path}: {name}{_beside(given[name])}"
    common = [name for name in before if name in after]
    for name in common:
        yield from _values(
            f"{path}.{name}" if " " not in name else f"{path}[{name}]", before[name], after[name], _shown
        )
    if ordered and common != [name for name in after if name in before]:
        yield f"~ {path}: another order"


def _entry(value: Any) -> tuple[str, Any]:
    """What an entry of a list is known by, and the entry."""
    if isinstance(value, Passthrough):
        return f"{value.method} {value.path}", value
    if isinstance(value, Listener):
        return value.name, value
    return value if isinstance(value, tuple) else (str(value), value)


def _beside(value: Any) -> str:
    """What there is to say of an entry beside its name."""
    if isinstance(value, Passthrough):
        return f" to {value.backend}"
    return f" at port {value.port}" if isinstance(value, Listener) else ""


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "given" if _fields(value) else str(value)


def _words(prefix: str, one: Any, other: Any) -> Iterator[str]:
    """What differs between two backends."""
    for name in _fields(one):
        place, old, new = (type(one), name), getattr(one, name), getattr(other, name)
        if place in _UNORDERED:
            old, new = frozenset(old), frozenset(new)
        word = prefix + key(*place)
        if old != new and name != "reach" and type(old) is type(new) and _fields(old):
            yield from _words(f"{word}.", old, new)
        elif old != new:
            yield word


def _means(rule: Rule, name: str) -> Any:
    """A field's value such that what means the same is equal."""
    value = getattr(rule, name)
    if isinstance(rule, Split) and name == "weights":
        weights = {bearer: Fraction(str(weight)) for bearer, weight in value}
        return {bearer: weight / (sum(weights.values()) or 1) for bearer, weight in weights.items()}
    if name == "when" or (isinstance(rule, Prefer) and name == "names"):
        return frozenset(value)
    return value


def _rule_keys(rule: Rule) -> Mapping[str, str]:
    """Field -> what it is called in routes.yaml."""
    found = {}
    for form in forms(type(rule)):
        part = form.verb.part
        if part is None or getattr(getattr(rule, form.value.name), part) is not None:
            found[form.value.name] = _KEYS.get((type(rule), form.value.name), form.value.key)
        found |= {option.name: option.key for option in form.options}
    return found
