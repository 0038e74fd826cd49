"""What may stand at a place of a file, by the models' types: the type itself, and what is written there."""

from __future__ import annotations

from collections.abc import Iterable
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from routegen.spec.base import OneOf

UNIONS = (UnionType, Union)
_DEEPEST = 3
"""Levels of mappings and lists that a form shows."""


def at(location: Iterable[str | int], file: type[BaseModel]) -> tuple[Any, str]:
    """The type at pydantic's ``location``, ``None`` for an unknown key, and what the reference says of the field."""
    annotation: Any = file
    says = ""
    for part in location:
        owner = bare(annotation)
        says = next((field.description or "" for key, field in _fields(owner).items() if key == part), "")
        annotation = inside(owner, part)
    return annotation, says


def form(annotation: Any, says: str = "", depth: int = 0) -> str:
    """What is written for this type, such as ``{name: …, port: …}``; ``…`` for single values.

    :param says: the field's description; that of a mapping begins with what its keys are (``Name -> weight``).
    """
    kind = bare(annotation)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in UNIONS:
        return form(arguments[0], "", depth)
    if origin is Literal:
        return str(arguments[0])
    if kind is bool:
        return "true"
    if kind is float:
        return "1"
    if origin not in {list, dict} and not _is_model(kind):
        return "…"
    if depth == _DEEPEST:
        return "[…]" if origin is list else "{…}"
    if origin is list:
        entry = form(arguments[0], "", depth + 1)
        return "[one, two]" if entry == "…" and not depth else f"[{entry}]"
    if origin is dict:
        key = says.split(maxsplit=1)[0].upper() if " -> " in says else "KEY"
        return f"{{{key}: {form(arguments[1], '', depth + 1)}}}"
    return _form_of_model(kind, depth)


def _form_of_model(model: type[BaseModel], depth: int) -> str:
    """The keys that must be there; where none must, one of those that may."""
    fields = _fields(model)
    if issubclass(model, OneOf):
        choices = [f"{{{key}: {_form_of_field(fields[key], depth)}}}" for key in model.CHOICES]
        return choices[0] if depth else " or ".join(choices)
    keys = [key for key, field in fields.items() if field.is_required()] or list(fields)[:1]
    return f"{{{', '.join(f'{key}: {_form_of_field(fields[key], depth)}' for key in keys)}}}"


def _form_of_field(field: FieldInfo, depth: int) -> str:
    return form(field.annotation, field.description or "", depth + 1)


def inside(annotation: Any, part: str | int) -> Any:
    """The type of one field, entry or union member; ``None`` for an unknown key."""
    if get_origin(annotation) is list:
        return get_args(annotation)[0]
    if get_origin(annotation) is dict:
        return get_args(annotation)[1]
    if get_origin(annotation) in UNIONS:
        return next(member for member in get_args(annotation) if get_args(member)[1].tag == part)
    return next((field.annotation for key, field in _fields(annotation).items() if key == part), None)


def bare(annotation: Any) -> Any:
    """Without ``Annotated`` and ``| None``."""
    if get_origin(annotation) is Annotated:
        return bare(get_args(annotation)[0])
    if get_origin(annotation) in UNIONS and type(None) in get_args(annotation):
        return bare(get_args(annotation)[0])
    return annotation


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _fields(kind: Any) -> dict[str, FieldInfo]:
    """A model's fields by their keys in the file; none for other types."""
    return {str(field.alias): field for field in kind.model_fields.values()} if _is_model(kind) else {}
