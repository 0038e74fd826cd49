"""``routegen diff`` forgets no field of the plan: each that differs is told, by its path in routes.yaml."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from pydantic import BaseModel

from routegen import plan as ir
from routegen.checks.diff_settings import backends, key, settings
from routegen.spec.backends import BackendSpec
from routegen.spec.models import ByHeadersSpec, ListenerSpec, Routes, Spec
from routegen_router.request import Opened
from support.plans import TWO_ENGINES, VLLM, with_gateway, with_router

ENGINE = replace(
    VLLM,
    tls=ir.UpstreamTLS("name", "file", "map"),
    api_key=ir.ApiKey("secret", env="KEY", file="file"),
    seconds=("b",),
    first_byte=60.0,
    mirror=ir.Mirror("b", 5.0, 8, 60.0),
)
FULL = replace(
    TWO_ENGINES,
    passthrough=(ir.Passthrough("/tokenize", "POST", "vllm"),),
    failover=ir.Failover((429,)),
    cors=ir.Cors(("https://a.example",), ("*",), ("x-a",), allow_credentials=False, max_age=600.0),
    by_headers=(Opened("/v1/realtime", "GET"),),
    backends=(ENGINE,),
)
FULL = with_gateway(FULL, hostnames=("a.example",), listeners=(ir.Listener("https", 443, tls=ir.ListenerTLS("s")),))
FULL = with_router(FULL, failure_backend="vllm")
"""A plan that leaves nothing out."""


def fields(value: Any) -> tuple[str, ...]:
    if isinstance(value, msgspec.Struct):
        return value.__struct_fields__
    return tuple(field.name for field in dataclasses.fields(value)) if dataclasses.is_dataclass(value) else ()


def variants(value: Any) -> Iterator[Any]:
    """The value with one thing changed in it, for each thing there is."""
    for name in fields(value):
        for other in variants(getattr(value, name)):
            change = msgspec.structs.replace if isinstance(value, msgspec.Struct) else replace
            yield change(value, **{name: other})
    if isinstance(value, tuple):
        if not (value and isinstance(value[0], str)):  # a pair stays one
            yield ()
        for at, entry in enumerate(value):
            yield from ((*value[:at], other, *value[at + 1 :]) for other in variants(entry))
    elif isinstance(value, ir.ListenerTLS | ir.UpstreamTLS | ir.ApiKey):
        yield None
    elif not fields(value):
        yield another(value)


def another(value: Any) -> Any:
    """Another value of its kind."""
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int | float) else f"{value}-other"


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(ir.Plan) if field.name != "rules"])
def test_whatever_differs_is_told(name: str) -> None:
    """Each field, and each field in it; of rules test_diff.py tells."""
    changed = [other for other in variants(getattr(FULL, name)) if other != getattr(FULL, name)]
    assert changed
    for other in changed:
        plan = replace(FULL, **{name: other})
        assert list(backends(FULL, plan) if name == "backends" else settings(FULL, plan)), other
    assert [*settings(FULL, FULL), *backends(FULL, FULL)] == []


def places(kind: Any, model: type[BaseModel]) -> Iterator[tuple[type, str, type[BaseModel]]]:
    """Each field of a part of the plan, and the mapping of routes.yaml that holds it."""
    hints = get_type_hints(kind)
    for name in msgspec.structs.fields(kind) if issubclass(kind, msgspec.Struct) else dataclasses.fields(kind):
        field = name.name
        yield kind, field, model
        for part in parts(hints[field]):
            if part not in {ir.ServiceRef, ir.PoolRef, ir.Addresses} and part is not ir.Backend:
                found = MODELS.get(part) or of_model(model, key(kind, field))
                yield from places(part, found)


STRUCTS = {"Models", "Opened", "Passthrough"}
"""What in a plan is a struct and no rule."""


def parts(hint: Any) -> Iterator[type]:
    """The dataclasses and structs in a type, rules aside."""
    if isinstance(hint, type) and (dataclasses.is_dataclass(hint) or hint.__name__ in STRUCTS):
        yield hint
    for argument in get_args(hint):
        yield from parts(argument)


def of_model(model: type[BaseModel], path: str) -> type[BaseModel]:
    """The mapping below a key."""
    found = [field.annotation for field in model.model_fields.values() if field.alias == path]
    assert found, f"{model.__name__} has no {path}"
    kinds = [kind for kind in (found[0], *get_args(found[0])) if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return kinds[0]


MODELS: dict[type, type[BaseModel]] = {ir.Listener: ListenerSpec, Opened: ByHeadersSpec}
WORDS = {"where it is reached", "where it is asked", "second choices", "other names of models"}
"""What stands under several keys, or under none."""


@pytest.mark.parametrize(("top", "model"), [(ir.Plan, Spec), (ir.Backend, BackendSpec)])
def test_every_field_is_called_as_in_routes_yaml(top: type, model: type[BaseModel]) -> None:
    """A new field of the plan needs a key there, or words in diff_settings."""
    for kind, name, below in places(top, model):
        path = key(kind, name)
        if path in WORDS or (kind, name) == (ir.Backend, "name"):
            continue
        holder, keys = (Routes if path.startswith("metadata.") else below), path.split(".")
        for part in keys[:-1]:
            holder = of_model(holder, part)
        assert keys[-1] in {field.alias for field in holder.model_fields.values()}, f"{kind.__name__}.{name}"


def test_order_counts_where_it_means_something() -> None:
    """Not of paths, host names and models."""
    opened = (*FULL.passthrough, ir.Passthrough("/*", "POST", "vllm"))
    one, other = replace(FULL, passthrough=opened), replace(FULL, passthrough=opened[::-1])
    assert list(settings(one, other)) == ["~ spec.passthrough: another order"]
    assert list(settings(FULL, replace(FULL, paths=FULL.paths[::-1]))) == []
    many = replace(FULL, backends=(replace(ENGINE, models=("a", "b")),))
    assert list(backends(many, replace(FULL, backends=(replace(ENGINE, models=("b", "a")),)))) == []


def test_where_a_key_lies_is_not_shown() -> None:
    """Somebody may have written the key itself there."""
    tls = ir.Listener("https", 443, tls=ir.ListenerTLS("hf_secret"))
    assert list(settings(FULL, with_gateway(FULL, listeners=(tls,)))) == [
        "~ spec.gateway.listeners.https.tls.secretName"
    ]
    moved = replace(ENGINE, api_key=ir.ApiKey("hf_secret", env="KEY", file="file"))
    assert list(backends(FULL, replace(FULL, backends=(moved,)))) == ["~ vllm: apiKey.secretName"]
