"""The rules of routes.yaml as models, made from the rules' own classes: one for each verb."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

from pydantic import Discriminator, Field, Tag, create_model

from routegen.spec.base import Model, OneOf
from routegen.spec.scalars import BodyPath, HeaderName, Pattern, RuleName, Text
from routegen_router.request import Source
from routegen_router.rules import BUILT_IN
from routegen_router.rules import describe as rules
from routegen_router.standing import Name


class SourceSpec(OneOf):
    """Where a value is found in a request: a header, or a field of the body."""

    CHOICES: ClassVar[tuple[str, ...]] = ("header", "body")

    header: HeaderName | None = Field(None, description="A request header's name.")
    body: BodyPath | None = Field(None, description="A field of the body: dotted path or JSON Pointer.")


class WhenSpec(Model):
    """Tests that must all hold for the rule to apply; each is exact text or a glob (`*`, `?`, `[…]`)."""

    header: dict[HeaderName, Pattern] = Field({}, description="Header name -> text or glob.")
    body: dict[BodyPath, Pattern] = Field({}, description="Field of the body -> text or glob.")
    model: Pattern | None = Field(None, description="Text or glob that the request's `model` must match.")
    path: Pattern | None = Field(None, description="Text or glob that the request's path must match.")


class RuleSpec(Model):
    """What every rule may have; :func:`model` adds a verb's own keys."""

    FORM: ClassVar[rules.Form]

    name: RuleName | None = Field(
        None, description="What metrics, logs and `explain` call the rule; default: made from its verb."
    )
    when: WhenSpec | None = Field(None, description="The rule applies only where these tests hold.")

    def given(self, field: rules.Field) -> Any:
        """What the file gives for a field of the rule, or its default."""
        return getattr(self, _attribute(field))


FORMS: tuple[rules.Form, ...] = tuple(form for rule in BUILT_IN for form in rules.forms(rule))
VERBS: tuple[str, ...] = tuple(form.verb.key for form in FORMS)
"""The keys of which every rule has exactly one."""


@cache
def model(form: rules.Form) -> type[RuleSpec]:
    """The model of the rules that are written with this verb.

    :raises TypeError: a field's type is of no kind that routes.yaml has.
    """
    fields: dict[str, Any] = {}
    for field in (form.value, *form.options):
        part = form.verb.part if field is form.value else None
        kind = {"body": BodyPath, "header": HeaderName}[part] if part is not None else written(field.kind)
        default = ... if field.required else {} if rules.is_mapping(field.kind) else field.default
        fields[_attribute(field)] = (kind, Field(default, alias=field.key, description=field.says))
    title = f"{form.verb.key[0].upper()}{form.verb.key[1:]}Rule"
    made = create_model(title, __base__=RuleSpec, __doc__=form.sentence, **fields)
    made.FORM = form
    return made


def written(kind: Any) -> Any:
    """The type of what stands in the file for a field of a rule."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind == Name:
        return Text
    if origin is Annotated:
        return Annotated[written(arguments[0]), Field(**_limits(arguments[1:]))]
    if rules.is_mapping(kind):
        _, value = get_args(arguments[0])
        return dict[str, written(value)]  # type: ignore[misc]  # made when the program runs
    if origin is tuple and arguments[1:] == (...,):
        return list[written(arguments[0])]  # type: ignore[misc]  # made when the program runs
    if type(None) in arguments:
        return written(arguments[0]) | None
    if kind is Source:
        return SourceSpec
    if kind is str:
        return Text
    if kind in {bool, int, float} or origin is Literal:
        return kind
    raise TypeError(f"routes.yaml can't hold a {kind}")


def _limits(marks: Sequence[Any]) -> dict[str, Any]:
    """What ``msgspec.Meta`` says, in pydantic's words."""
    found: dict[str, Any] = {}
    for mark in marks:
        given = {name: getattr(mark, name) for name in ("ge", "gt", "le", "lt", "min_length", "max_length")}
        found |= {name: value for name, value in given.items() if value is not None}
    return found | ({"allow_inf_nan": False} if found.keys() & {"ge", "gt", "le", "lt"} else {})


def _attribute(field: rules.Field) -> str:
    """What a field is called in the model: nothing that pydantic's own methods are called."""
    return f"given_{field.name}"


def verbs_of(value: Any) -> list[str]:
    """The verb keys that a rule has, in their order in the file."""
    return [key for key in value if key in VERBS] if isinstance(value, dict) else []


def verbs_that_take(key: str) -> tuple[str, ...]:
    """The verbs whose rules know ``key``, which is not itself a verb."""
    return tuple(form.verb.key for form in FORMS if key in {field.alias for field in model(form).model_fields.values()})


def _verb(value: Any) -> str | None:
    verbs = verbs_of(value)
    return f"<{verbs[0]}>" if len(verbs) == 1 else None


def any_rule(forms: Sequence[rules.Form] = FORMS) -> Any:
    """The type of one entry of ``rules``: a model for each of these verbs, told apart by the verb."""
    members = tuple(Annotated[model(form), Tag(f"<{form.verb.key}>")] for form in forms)
    return Annotated[Union[members], Discriminator(_verb)]  # noqa: UP007 - the members are known only here


if TYPE_CHECKING:
    AnyRule = RuleSpec
else:
    AnyRule = any_rule()
    """One entry of ``rules``."""
