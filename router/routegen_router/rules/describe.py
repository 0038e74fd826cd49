"""How a rule is written, read from its class: its verbs, and the keys beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec

from routegen_router.standing import IS_NAME

from .rule import Key, Place, Rule, Verb


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a rule that routes.yaml may give."""

    name: str
    """In the class."""
    key: str
    """In routes.yaml."""
    says: str
    kind: Any
    """Its type, ``msgspec.Meta`` included."""
    required: bool
    default: Any = None


@dataclass(frozen=True, slots=True)
class Form:
    """One way to write a rule: a verb, its value, and the other keys."""

    rule: type[Rule]
    verb: Verb
    value: Field
    options: tuple[Field, ...]

    @property
    def sentence(self) -> str:
        """What the reference says of it."""
        return self.verb.sentence or (self.rule.__doc__ or "").partition("\n")[0]


@cache
def forms(rule: type[Rule]) -> tuple[Form, ...]:
    """Every verb of a rule.

    :raises TypeError: the class says nothing of how it is written.
    """
    hints = get_type_hints(rule, include_extras=True)
    verbs: list[tuple[Verb, Field]] = []
    options: list[Field] = []
    for field in msgspec.structs.fields(rule):
        if field.name in Rule.__struct_fields__:
            continue
        marks = get_args(hints[field.name])[1:] if get_origin(hints[field.name]) is Annotated else ()
        kind = _without_marks(hints[field.name])
        required = field.required
        default = None if required else field.default
        given = [mark for mark in marks if isinstance(mark, Key | Verb)]
        if not given:
            raise TypeError(f"{rule.__qualname__}.{field.name} has neither a Key nor a Verb")
        for mark in given:
            if isinstance(mark, Verb):
                verbs.append((mark, Field(field.name, mark.key, mark.says, kind, required=True)))
            else:
                options.append(Field(field.name, _camel(field.name), mark.says, kind, required, default))
    if not verbs:
        raise TypeError(f"{rule.__qualname__} has no field with a Verb")
    return tuple(Form(rule, verb, value, tuple(options)) for verb, value in verbs)


def names(form: Form, rule: Rule) -> Iterator[tuple[Place, str]]:
    """Every name that ``rule`` uses, and where it stands in the rule."""
    for field in (form.value, *form.options):
        yield from _names(field.kind, getattr(rule, field.name), (field.key,))


def is_mapping(kind: Any) -> bool:
    """Whether a field of this type, ``Annotated`` aside, is written as a mapping."""
    arguments = get_args(kind)
    return get_origin(kind) is tuple and arguments[1:] == (...,) and get_origin(arguments[0]) is tuple


def _names(kind: Any, value: Any, place: Place) -> Iterator[tuple[Place, str]]:
    arguments = get_args(kind)
    if get_origin(kind) is Annotated:
        yield from [(place, value)] if IS_NAME in arguments else _names(arguments[0], value, place)
    elif type(None) in arguments:
        yield from _names(arguments[0], value, place) if value is not None else ()
    elif is_mapping(kind):
        of_key, of_value = get_args(arguments[0])
        for key, entry in value:
            yield from _names(of_key, key, (*place, key))
            yield from _names(of_value, entry, (*place, key))
    elif get_origin(kind) is tuple:
        for index, entry in enumerate(value):
            yield from _names(arguments[0], entry, (*place, index))


def _without_marks(hint: Any) -> Any:
    """The type without our own marks."""
    if get_origin(hint) is not Annotated:
        return hint
    bare, *marks = get_args(hint)
    for mark in marks:
        if not isinstance(mark, Key | Verb):
            bare = Annotated[bare, mark]
    return bare


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
