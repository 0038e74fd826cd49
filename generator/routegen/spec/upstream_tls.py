"""TLS to what stands behind the gateway: an engine, or a pool's picker."""

from __future__ import annotations

from typing import Any

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from routegen.spec.base import Model, other_form
from routegen.spec.scalars import DNSName, ObjectName, Text


class UpstreamTLSSpec(Model):
    """How to speak TLS to an engine."""

    server_name: DNSName | None = Field(
        None, description="The name to ask for (SNI) and to verify; default: the host that is connected to."
    )
    ca_file: Text | None = Field(
        None, description="PEM file of the authorities to trust (target `envoy`); default: the system's."
    )
    ca_config_map: ObjectName | None = Field(
        None, description="ConfigMap with `ca.crt` in the backend's namespace (Kubernetes targets)."
    )
    insecure_skip_verify: bool = Field(False, description="`true`: accept any certificate. For tests only.")

    @model_validator(mode="before")
    @classmethod
    def _just_true(cls, value: Any) -> Any:
        if value is True:
            return {}
        return other_form(value, "true, or a mapping with serverName, caFile, caConfigMap, insecureSkipVerify")

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Editors learn both forms."""
        return {"anyOf": [{"const": True}, handler(schema)]}
