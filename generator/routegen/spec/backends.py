"""The backends of routes.yaml: how each is reached, what it serves, how it is asked."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from routegen.spec.base import Model, OneOf, other_form
from routegen.spec.mirror import MirrorSpec
from routegen.spec.pools import InferencePoolSpec
from routegen.spec.scalars import (
    URL,
    EnvName,
    HostPort,
    KeyFile,
    Label,
    LongLabel,
    Owner,
    Port,
    SecretKey,
    SecretName,
    wrong,
)
from routegen.spec.served import ServedModels
from routegen.spec.timeouts import TimeoutsSpec
from routegen.spec.upstream_tls import UpstreamTLSSpec


class ServiceSpec(Model):
    """A Kubernetes Service."""

    name: Label = Field(description="The Service's name.")
    namespace: Label | None = Field(None, description="Its namespace; default: `metadata.namespace`.")
    port: Port = Field(description="The Service's port (not the Pods').")


class LLMInferenceServiceSpec(Model):
    """A KServe LLMInferenceService, reached through the Service that KServe makes for it."""

    name: LongLabel = Field(description="The LLMInferenceService's name.")
    namespace: Label | None = Field(None, description="Its namespace; default: `metadata.namespace`.")

    @model_validator(mode="before")
    @classmethod
    def _just_the_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else other_form(value, "a name, or {name: …, namespace: …}")

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Editors learn both forms."""
        return {"anyOf": [{"type": "string"}, handler(schema)]}


class ApiKeySpec(Model):
    """The API key that an engine wants: in a Secret (Kubernetes targets), a variable or a file (target `envoy`)."""

    secret_name: SecretName | None = Field(None, description="A Secret in the routes' namespace (Kubernetes targets).")
    secret_key: SecretKey = Field("api-key", description="The key of that Secret.")
    env: EnvName | None = Field(None, description="An environment variable of the router's process (target `envoy`).")
    file: KeyFile | None = Field(None, description="A file that holds it and nothing else (target `envoy`).")
    send: bool = Field(
        False, description="`true`: requests to the engine carry it too, in place of the client's `authorization`."
    )

    @model_validator(mode="before")
    @classmethod
    def _never_the_key(cls, value: Any) -> Any:
        """What stands here in place of a mapping is likely the key, so it isn't repeated."""
        if not isinstance(value, dict):
            raise wrong("must say where the key lies: {secretName: …}, {env: …} or {file: …}; it never stands here")
        return value

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.env is not None and self.file is not None:
            raise wrong("takes env or file, not both")
        if self.secret_name is None and self.env is None and self.file is None:
            raise wrong("needs secretName (Kubernetes targets), or env or file (target envoy)")
        return self


class PollSpec(Model):
    """How this one engine is asked which models it serves."""

    enabled: bool = Field(True, description="`false`: it isn't asked; `models` is all there is to know.")
    url: URL | None = Field(None, description="Its model list; default: `/v1/models` at its addresses in turn.")


class BackendSpec(OneOf):
    """One place a request can go."""

    CHOICES: ClassVar[tuple[str, ...]] = ("service", "llmInferenceService", "inferencePool", "endpoints")

    service: ServiceSpec | None = Field(None, description="A Kubernetes Service.")
    llm_inference_service: LLMInferenceServiceSpec | None = Field(
        None, description="A KServe LLMInferenceService: its name, or name and namespace."
    )
    inference_pool: InferencePoolSpec | None = Field(None, description="An InferencePool.")
    endpoints: list[HostPort] | None = Field(
        None, min_length=1, description="Addresses outside Kubernetes, `host:port` each; load is spread over them."
    )
    owned_by: Owner | None = Field(
        None, description="The owner: what `owned_by` says in its model list; default: what the engine says."
    )
    models: ServedModels = Field(
        [],
        description="Models it is known to serve: ids or globs (`llama-8b-*`). "
        "As a mapping: a model's name for clients -> its name for this engine, put into bodies.",
    )
    strip_routing_fields: bool = Field(
        False,
        description="`true`: the fields that `body` rules choose by, but never `model`, are taken out of its bodies.",
    )
    tls: UpstreamTLSSpec | None = Field(None, description="Speak TLS to it; `true`: with the system's authorities.")
    poll: PollSpec = Field(PollSpec(), description="How it is asked which models it serves.")
    timeouts: TimeoutsSpec = Field(TimeoutsSpec(), description="How long it may take, where not as `spec.timeouts`.")
    mirror: MirrorSpec | None = Field(None, description="Another engine that gets copies of its requests.")
    api_key: ApiKeySpec | None = Field(
        None,
        description="The API key that it wants when it is asked for its models, and on requests where `send` says.",
    )
