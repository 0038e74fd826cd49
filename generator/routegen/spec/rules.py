"""The rules of routes.yaml: one model for each verb."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Discriminator, Field, Tag

from routegen.spec.base import Model, OneOf
from routegen.spec.scalars import BodyPath, HeaderName, Pattern, RuleName, Text, Weight

VERBS: Final = ("body", "header", "prefer", "split", "reject")
"""The keys of which every rule has exactly one."""


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


class _RuleSpec(Model):
    name: RuleName | None = Field(
        None, description="What metrics, logs and `explain` call the rule; default: made from its verb."
    )
    when: WhenSpec | None = Field(None, description="The rule applies only where these tests hold.")


class _LookupSpec(_RuleSpec):
    values: dict[str, Text] = Field(
        {}, description="Value or glob -> name, first match wins; default: the value itself is the name."
    )
    on_unknown: Literal["reject", "next"] = Field("reject", description="What to do if the value names nothing.")
    on_mismatch: Literal["reject", "next"] = Field(
        "reject", description="What to do if the value names backends, none of which can take the request."
    )


class BodyRule(_LookupSpec):
    """Keep the backends that a field of the body names."""

    body: BodyPath = Field(description="The field: dotted path (`metadata.engine`) or JSON Pointer.")


class HeaderRule(_LookupSpec):
    """Keep the backends that a request header names."""

    header: HeaderName = Field(description="The header's name.")


class PreferRule(_RuleSpec):
    """Keep the backends that bear these names if one of them can take the request, else pass."""

    prefer: list[Text] = Field(min_length=1, description="Names: backends or owners.")


class SplitRule(_RuleSpec):
    """Choose a backend by weight."""

    split: dict[str, Weight] = Field(min_length=1, description="Name -> weight; weights are relative to each other.")
    sticky_by: SourceSpec | None = Field(
        None, description="The same value gets the same backend; where it is absent the choice is random."
    )


class RejectRule(_RuleSpec):
    """Refuse the request with 400 `no_route`."""

    reject: Text = Field(description="The error message for the client.")


def verbs_of(value: Any) -> list[str]:
    """The verb keys that a rule has, in their order in the file."""
    return [key for key in value if key in VERBS] if isinstance(value, dict) else []


def verbs_that_take(key: str) -> tuple[str, ...]:
    """The verbs whose rules know ``key``, which is not itself a verb."""
    models: dict[str, type[_RuleSpec]] = {
        "body": BodyRule,
        "header": HeaderRule,
        "prefer": PreferRule,
        "split": SplitRule,
        "reject": RejectRule,
    }
    return tuple(
        verb for verb, model in models.items() if key in {field.alias for field in model.model_fields.values()}
    )


def _verb(value: Any) -> str | None:
    verbs = verbs_of(value)
    return f"<{verbs[0]}>" if len(verbs) == 1 else None


RuleSpec = Annotated[
    Annotated[BodyRule, Tag("<body>")]
    | Annotated[HeaderRule, Tag("<header>")]
    | Annotated[PreferRule, Tag("<prefer>")]
    | Annotated[SplitRule, Tag("<split>")]
    | Annotated[RejectRule, Tag("<reject>")],
    Discriminator(_verb),
]
