"""The tests of ``when``: a text or glob, or a mapping that says what a number, a size or a list must be."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from pydantic import Field, GetJsonSchemaHandler, ModelWrapValidatorHandler, PrivateAttr, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from routegen.spec.base import Model
from routegen.spec.scalars import PATTERN_TYPES, Size, show, wrong
from routegen_router.when import Bounds


class _BoundsSpec(Model):
    """Bounds that must all hold."""

    EXAMPLE: ClassVar[str] = "{above: 4096}"

    @model_validator(mode="before")
    @classmethod
    def _mapping(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise wrong(f"must be a mapping such as {cls.EXAMPLE}, not {show(value)}")
        return value


class NumberSpec(_BoundsSpec):
    """What a number must be."""

    above: float | None = Field(None, description="It must be larger.", allow_inf_nan=False)
    below: float | None = Field(None, description="It must be smaller.", allow_inf_nan=False)
    at_least: float | None = Field(None, description="It must be this or larger.", allow_inf_nan=False)
    at_most: float | None = Field(None, description="It must be this or smaller.", allow_inf_nan=False)

    @property
    def bounds(self) -> Bounds:
        """As the router holds numbers to them."""
        return Bounds(above=self.above, below=self.below, at_least=self.at_least, at_most=self.at_most)


class CountSpec(NumberSpec):
    """What a count must be."""

    @model_validator(mode="after")
    def _some(self) -> Self:
        _possible(self.bounds)
        return self


class SizeSpec(_BoundsSpec):
    """What a size in bytes must be."""

    EXAMPLE: ClassVar[str] = "{above: 64Ki}"

    above: Size | None = Field(None, description="It must be larger.")
    below: Size | None = Field(None, description="It must be smaller.")
    at_least: Size | None = Field(None, description="It must be this or larger.")
    at_most: Size | None = Field(None, description="It must be this or smaller.")


class _TestSpec(NumberSpec):
    """A test of one value: text or glob, or a mapping."""

    EXAMPLE: ClassVar[str] = "{above: 4096}"

    present: bool | None = Field(None, description="`true`: it must be there; `false`: it must not (`null` is absent).")
    _pattern: str | None = PrivateAttr(None)

    @property
    def pattern(self) -> str | None:
        """The text or glob, where it is one."""
        return self._pattern

    @model_validator(mode="wrap")
    @classmethod
    def _either(cls, value: Any, read: ModelWrapValidatorHandler[Any]) -> Any:
        if isinstance(value, dict):
            return read(value)
        if not isinstance(value, str | bool | int | float):
            raise wrong(f"must be text, or a mapping such as {cls.EXAMPLE}, not {show(value)}")
        made = cls.model_construct()
        made._pattern = value if isinstance(value, str) else show(value)  # noqa: SLF001 - its own
        return made

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Editors learn both forms."""
        return {"anyOf": [{"title": "text or glob", "type": PATTERN_TYPES}, handler(schema)]}

    def _tests(self) -> list[Any]:
        return [bound for bound in (self.above, self.below, self.at_least, self.at_most) if bound is not None]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self._pattern is not None:
            return self
        if self.present is not None and self._tests():
            raise wrong("present stands alone; every other test needs the value to be there anyway")
        if self.present is None:
            _possible(self.bounds, others=bool(self._tests()))
        return self


class HeaderTestSpec(_TestSpec):
    """A test of a header: text or glob, a number's bounds, or whether it is there."""


class FieldTestSpec(_TestSpec):
    """A test of a field: text or glob, a number's bounds, how much it holds, or whether it is there."""

    items: CountSpec | None = Field(None, description="What the number of its items (or an object's keys) must be.")
    characters: CountSpec | None = Field(
        None, description="What the number of characters must be, of a text or of all texts within a list or object."
    )

    def _tests(self) -> list[Any]:
        return [*super()._tests(), *(count for count in (self.items, self.characters) if count is not None)]


def _possible(bounds: Bounds, *, others: bool = False) -> None:
    if bounds == Bounds() and not others:
        raise wrong("holds no bound; add above, below, atLeast or atMost")
    if bounds.empty():
        raise wrong(f"no number is {bounds}")
