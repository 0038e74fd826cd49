"""The JSON Schema of routes.yaml, for editors: made from the very models that read it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from routegen.common.problems import UserError
from routegen.spec.models import routes_with
from routegen.spec.rules import all_verbs
from routegen_router.plugins import PluginError


class _Generator(GenerateJsonSchema):
    """Leaves out what routes.yaml doesn't have (null) and what says nothing (titles, defaults of mappings)."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """An optional key is left out, never null."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Defaults are shown where they are values."""
        if schema.get("default") is None or isinstance(schema["default"], BaseModel):
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """Keys of another form are refused, not just left unchecked."""
        found = super().dict_schema(schema)
        keys, values = (self.generate_inner(schema[part]) for part in ("keys_schema", "values_schema"))
        found.pop("patternProperties", None)
        return found | {"propertyNames": keys, "additionalProperties": values}

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Keys need no second name."""
        del schema
        return False


def json_schema() -> dict[str, Any]:
    """The schema, draft 2020-12, with the rules of all installed plugins.

    :raises UserError: a plugin can't be used.
    """
    try:
        routes = routes_with(all_verbs())
    except PluginError as error:
        raise UserError(f"{error}; `routegen plugins` shows what is installed") from error
    schema = routes.model_json_schema(schema_generator=_Generator)
    return {"$schema": _Generator.schema_dialect, **schema}
