"""The rules of routes.yaml as models, made from the rules' own classes: one for each verb."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, reduce
from operator import or_
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin

from pydantic import Discriminator, Field, Tag, create_model

from routegen.spec.base import Model, OneOf
from routegen.spec.scalars import BodyPath, HeaderName, Pattern, QueryName, RuleName, Text
from routegen.spec.tests import FieldTestSpec, HeaderTestSpec, SizeSpec
from routegen_router.plugins import PluginError
from routegen_router.request import Source
from routegen_router.rules import describe as rules
from routegen_router.rules.table import FORMS, table
from routegen_router.standing import Name


class SourceSpec(OneOf):
    """Where a value is found in a request: a header, the body, the query, or the beginning of the conversation."""

    CHOICES: ClassVar[tuple[str, ...]] = ("header", "body", "query", "prefix")

    header: HeaderName | None = Field(None, description="A request header's name.")
    body: BodyPath | None = Field(None, description="A field of the body: dotted path or JSON Pointer.")
    query: QueryName | None = Field(None, description="A parameter of the query (`?name=value`).")
    prefix: Literal[True] | None = Field(
        None, description="`true`: how the conversation begins, up to the first thing that the user says."
    )


class WhenSpec(Model):
    """Tests that must all hold for the rule to apply; text is exact or a glob (`*`, `?`, `[…]`)."""

    header: dict[HeaderName, HeaderTestSpec] = Field({}, description="Header name -> text or glob, or a test of it.")
    body: dict[BodyPath, FieldTestSpec] = Field({}, description="Field of the body -> text or glob, or a test of it.")
    query: dict[QueryName, HeaderTestSpec] = Field(
        {}, description="Parameter of the query -> text or glob, or a test of it."
    )
    size: SizeSpec | None = Field(None, description="What the body's size must be.")
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


@cache
def model(form: rules.Form) -> type[RuleSpec]:
    """The model of the rules that are written with this verb.

    :raises TypeError: a field's type is of no kind that routes.yaml has.
    """
    fields: dict[str, Any] = {}
    for field in (form.value, *form.options):
        part = form.verb.part if field is form.value else None
        kind = (
            {"body": BodyPath, "header": HeaderName, "query": QueryName}[part]
            if part is not None
            else written(field.kind)
        )
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
        given = [argument for argument in arguments if argument is not type(None)]
        return (written(given[0]) if len(given) == 1 else _one_or_many(given[0])) | None
    if kind is Source:
        return SourceSpec
    if kind is str:
        return Text
    if kind in {bool, int, float} or origin is Literal:
        return kind
    raise TypeError(f"routes.yaml can't hold a {kind}")


def _one_or_many(kind: Any) -> Any:
    """A single one, or a list of them."""
    one = written(kind)
    many = Annotated[list[one], Tag("<many>"), Field(min_length=1)]  # type: ignore[valid-type]  # made when the program runs
    choose = Discriminator(lambda value: "<many>" if isinstance(value, list) else "<one>")
    return Annotated[Annotated[one, Tag("<one>")] | many, choose]


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


@dataclass(frozen=True, slots=True)
class Verbs:
    """The verbs that rules may have, and how those that a file uses are written."""

    known: tuple[str, ...]
    """All of them, the built-in ones first."""
    forms: tuple[rules.Form, ...]

    def of(self, value: Any) -> list[str]:
        """The verb keys that a rule has, in their order in the file."""
        return [key for key in value if key in self.known] if isinstance(value, dict) else []

    def taking(self, key: str) -> tuple[str, ...]:
        """The verbs whose rules know ``key``, which is not itself a verb."""
        return tuple(
            form.verb.key for form in self.forms if key in {field.alias for field in model(form).model_fields.values()}
        )

    def entry(self) -> Any:
        """The type of one entry of ``rules``: a model for each form, told apart by the verb."""

        def tag(value: Any) -> str | None:
            verbs = self.of(value)
            return f"<{verbs[0]}>" if len(verbs) == 1 else None

        members = [Annotated[model(form), Tag(f"<{form.verb.key}>")] for form in self.forms]
        return Annotated[reduce(or_, members), Discriminator(tag)]


def all_verbs() -> Verbs:
    """Every verb that is installed.

    :raises PluginError: a plugin can't be used.
    """
    found = table()
    return Verbs(found.verbs, tuple(map(found.form, found.verbs)))


def verbs_for(entries: Any) -> tuple[Verbs, dict[tuple[int, str], str]]:
    """The built-in verbs and those that ``rules`` uses, and what is wrong with plugins, by index and verb.

    No plugin is loaded that isn't used.

    :param entries: what the file has under ``rules``.
    """
    found = table()
    forms, problems = dict(FORMS), {}
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        for key in entry if isinstance(entry, dict) else ():
            if key in found.verbs:
                try:
                    form = found.form(key)
                    model(form)
                    forms[key] = form
                except (PluginError, TypeError) as error:
                    problems[index, key] = str(error)
    return Verbs(found.verbs, tuple(forms.values())), problems
