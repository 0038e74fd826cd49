"""What all models of routes.yaml have in common."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from routegen.spec.scalars import wrong


class Model(BaseModel):
    """A mapping of routes.yaml: camelCase keys, no conversions, nothing unknown."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, alias_generator=to_camel)


class OneOf(Model):
    """A mapping that needs exactly one of its ``CHOICES``."""

    CHOICES: ClassVar[tuple[str, ...]]
    """Keys, as in the file."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        fields = {field.alias: name for name, field in type(self).model_fields.items()}
        given = [key for key in self.CHOICES if getattr(self, fields[key]) is not None]
        if len(given) != 1:
            has = f"has {' and '.join(given)}" if given else "has none"
            raise wrong(f"needs exactly one of {', '.join(self.CHOICES)}; this {has}")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Editors learn the same rule."""
        found = handler(schema)
        handler.resolve_ref_schema(found)["oneOf"] = [{"required": [key]} for key in cls.CHOICES]
        return found


def other_form(value: Any, expected: str) -> Any:
    """The value if it is a mapping; else the sentence that names both forms."""
    if not isinstance(value, dict):
        raise wrong(f"must be {expected}")
    return value
