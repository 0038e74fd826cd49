"""routes.yaml as types: what may stand where, and every default.

The JSON Schema, the reference in docs/routes-yaml.md and the reader are all made from these models. Values stay as
they stand in the file; :mod:`routegen.compile` gives them meaning.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final, Literal, Self

from pydantic import Field, GetJsonSchemaHandler, ModelWrapValidatorHandler, create_model, model_validator
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from routegen.distribution import ROUTER_IMAGE
from routegen.spec.backends import BackendSpec
from routegen.spec.base import Model, other_form
from routegen.spec.cors import CorsSpec
from routegen.spec.network_policy import NetworkPolicySpec
from routegen.spec.router_tls import RouterTLSSpec
from routegen.spec.rules import RuleSpec, Verbs
from routegen.spec.scalars import (
    Duration,
    HeaderName,
    Hostname,
    HTTPPath,
    Image,
    IPAddress,
    Label,
    ObjectName,
    Port,
    Quantity,
    RouterAddress,
    Size,
    Text,
    wrong,
)
from routegen.spec.timeouts import TimeoutsSpec

API_VERSION: Final = "routegen/v1alpha1"
KIND: Final = "InferenceRoutes"

Method = Literal["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]


MOST_WORKERS: Final = 16
"""What Envoy Gateway can refer to (``extProc[].backendRefs``)."""


class Metadata(Model):
    """What the rendered objects are called and where they live."""

    name: Label = Field(max_length=50, description="Begins the name of every rendered object.")
    namespace: Label = Field("default", description="The rendered objects' namespace.")


class ListenerTLSSpec(Model):
    """The certificate that a listener serves: a Secret (Kubernetes targets), PEM files (target `envoy`), or both."""

    secret_name: ObjectName | None = Field(None, description="A `kubernetes.io/tls` Secret in the Gateway's namespace.")
    cert_file: Text | None = Field(None, description="PEM file of the certificate chain.")
    key_file: Text | None = Field(None, description="PEM file of its private key.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise wrong("needs certFile and keyFile together")
        if self.cert_file is None and self.secret_name is None:
            raise wrong("needs secretName (Kubernetes targets), or certFile and keyFile (target envoy)")
        return self


class ListenerSpec(Model):
    """One port that clients connect to."""

    name: Label = Field(description="The listener's name.")
    port: Port = Field(description="The port.")
    address: IPAddress | None = Field(None, description="The IP address to bind (target `envoy`); default: all.")
    tls: ListenerTLSSpec | None = Field(None, description="Serve HTTPS with this certificate; default: plain HTTP.")


class GatewaySpec(Model):
    """The gateway that serves the routes."""

    target: Text = Field(
        "envoy-gateway", description="What `routegen render` renders for: `envoy-gateway`, `istio`, `envoy`."
    )
    name: ObjectName = Field("inference-gateway", max_length=63, description="The Gateway's name.")
    namespace: Label | None = Field(None, description="The Gateway's namespace; default: `metadata.namespace`.")
    class_name: ObjectName | None = Field(
        None, description="The GatewayClass of a Gateway that is created; default: `eg`, or `istio` for that target."
    )
    create: bool = Field(True, description="Render the Gateway; `false`: it exists already and routes attach to it.")
    listeners: list[ListenerSpec] = Field(
        [ListenerSpec(name="http", port=80)],
        min_length=1,
        max_length=64,
        description="The ports to listen on.",
        json_schema_extra={"default": [{"name": "http", "port": 80}]},
    )
    memory: Size = Field(
        "2Gi",
        description="What Envoy may take (target `envoy`); before it is reached load is shed, large uploads first.",
    )
    hostnames: list[Hostname] = Field(
        [], max_length=16, description="Host names to serve (HTTPRoute's limit is 16); empty: all."
    )


class FailureSpec(Model):
    """What happens to a request that the router could not decide on."""

    backend: Text | None = Field(description="The backend that gets such requests.")

    @model_validator(mode="wrap")
    @classmethod
    def _closed(cls, value: Any, read: ModelWrapValidatorHandler[FailureSpec]) -> FailureSpec:
        if value == "closed":
            return cls.model_construct(backend=None)
        return read(other_form(value, "closed, or {backend: NAME}"))

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Editors learn both forms."""
        return {"anyOf": [{"const": "closed"}, handler(schema)]}


class ResourcesSpec(Model):
    """Compute resources of one router Pod."""

    requests: dict[Text, Quantity] = Field(
        {"cpu": "250m", "memory": "256Mi"}, description="Resource -> quantity that is reserved."
    )
    limits: dict[Text, Quantity] = Field(
        {"memory": "1Gi"},
        description="Resource -> quantity that is the most. The default grows with workers and maxInflightBytes.",
    )


class RouterSpec(Model):
    """The router's own deployment."""

    image: Image = Field(
        ROUTER_IMAGE,
        description="The router's container image. The default is not published: build yours from Dockerfile.",
    )
    replicas: int = Field(2, ge=1, le=1000, description="Number of router Pods.")
    resources: ResourcesSpec = Field(ResourcesSpec(), description="Compute resources of one router Pod.")
    addresses: list[RouterAddress] = Field(
        ["127.0.0.1:50051"],
        min_length=1,
        description="Where Envoy finds each router (target `envoy`): `host:port` or `unix:/path`.",
    )
    workers: int | None = Field(
        None,
        ge=1,
        le=MOST_WORKERS,
        description="Processes of each router that decide, on the ports (or paths with a number) from its own on; "
        "default: the Pod's CPU limit, else its request, rounded down; at least 1; with target `envoy` 1.",
    )
    max_inflight_bytes: Size = Field(
        "256Mi",
        description="Sum of the bodies that one router decides at once, all its workers together; more wait up to 2 s, "
        "then 503.",
    )
    tls: RouterTLSSpec | None = Field(
        None, description="TLS between gateway and router, with a certificate on both sides; default: plain HTTP/2."
    )
    network_policy: NetworkPolicySpec | None = Field(
        None, description="Render a NetworkPolicy for the router's pods; default: none, since a wrong one is an outage."
    )
    failure: FailureSpec = Field(
        FailureSpec.model_construct(backend=None),
        description="`closed`: a request without a decision gets 503; `{backend: NAME}`: it goes there.",
        json_schema_extra={"default": "closed"},
    )


class FailoverSpec(Model):
    """What becomes of a choice that nobody made by name, where its engine refuses the connection (target `envoy`)."""

    enabled: bool = Field(
        True, description="`true`: it goes to a second choice, as if the first were known to be down."
    )
    statuses: list[Literal[429, 503]] = Field(
        [], description="Statuses of the first engine's answer that send the request on as well."
    )
    reset: bool = Field(
        False,
        description="`true`: so does a connection that is lost before an answer, although the engine may have begun.",
    )


class PassthroughSpec(Model):
    """Requests that reach an engine unread, on a route without the router."""

    path: HTTPPath = Field(description="An exact path, or a prefix where it ends in `/*`.")
    method: Method = Field(description="The request's method.")
    backend: Text = Field(description="The backend that gets them.")


class ByHeadersSpec(Model):
    """Requests whose engine is chosen by their headers and query alone; their bodies aren't read."""

    path: HTTPPath = Field(description="An exact path, or a prefix where it ends in `/*`.")
    method: Method = Field("GET", description="The request's method; a WebSocket begins with `GET`.")


class ModelsPollSpec(Model):
    """How engines are asked which models they serve."""

    enabled: bool = Field(True, description="`false`: no engine is asked, `models:` of the backends is all there is.")
    interval: Duration = Field("15s", description="Time between two questions to one engine.")
    timeout: Duration = Field("2s", description="How long others wait for its answer; later is slow, not dead.")


class ModelsSpec(Model):
    """The model registry's settings."""

    poll: ModelsPollSpec = Field(ModelsPollSpec(), description="How engines are asked which models they serve.")
    unknown: Literal["reject", "allow"] = Field(
        "reject", description="A model that nobody serves: 404, or (`allow`) every backend stays a candidate."
    )


class Spec(Model):
    """How requests are routed."""

    gateway: GatewaySpec = Field(GatewaySpec(), description="The gateway that serves the routes.")
    router: RouterSpec = Field(RouterSpec(), description="The router's own deployment.")
    routing_header: HeaderName = Field(
        "x-inference-server", description="The header that the router sets and routes match on."
    )
    paths: list[HTTPPath] = Field(
        [
            "/v1/chat/completions",
            "/v1/completions",
            "/v1/embeddings",
            "/v1/responses",
            "/v1/messages",
            "/v1/messages/count_tokens",
            "/v1/rerank",
            "/v1/score",
            "/tokenize",
            "/detokenize",
        ],
        min_length=1,
        max_length=64,
        description="Exact paths whose POST bodies are read and routed (HTTPRoute's limit is 64). Of the default, what "
        "`passthrough` names is left out.",
    )
    failover: FailoverSpec = Field(FailoverSpec(), description="Second choices where an engine refuses the connection.")
    cors: CorsSpec | None = Field(None, description="Which web pages may call the gateway; default: none.")
    timeouts: TimeoutsSpec = Field(TimeoutsSpec(), description="How long engines may take.")
    passthrough: list[PassthroughSpec] = Field([], description="What reaches an engine unread.")
    by_headers: list[ByHeadersSpec] | None = Field(
        None,
        max_length=32,
        description="What is decided by headers and query alone, WebSockets included; default: `GET`, `POST` and "
        "`DELETE` below `/v1/responses/`, if that is one of `paths`.",
    )
    max_body_bytes: Size = Field("32Mi", description="The largest request body; a larger one is 413.")
    models: ModelsSpec = Field(ModelsSpec(), description="The model registry's settings.")
    backends: dict[Label, BackendSpec] = Field(min_length=1, description="Name -> one place a request can go.")
    rules: list[RuleSpec] | None = Field(
        None,
        min_length=1,
        description="The chain that chooses the backend; default: by `inference_server`, by `owned_by`, else an even "
        "split over all backends.",
    )


class Routes(Model):
    """A routes.yaml."""

    api_version: Literal["routegen/v1alpha1"] = Field(description="The format's version.")
    kind: Literal["InferenceRoutes"] = Field(description="The format's name. This is a local file, not a CRD.")
    metadata: Metadata = Field(description="What the rendered objects are called and where they live.")
    spec: Spec = Field(description="How requests are routed.")


@cache
def routes_with(verbs: Verbs) -> type[Routes]:
    """The type of a routes.yaml whose rules may have these verbs."""
    rules: Any = list[verbs.entry()]  # type: ignore[misc]  # made when the program runs
    entry = FieldInfo.merge_field_infos(Spec.model_fields["rules"], annotation=rules | None)
    spec: Any = create_model("Spec", __base__=Spec, __doc__=Spec.__doc__, rules=(rules | None, entry))
    return create_model("Routes", __base__=Routes, __doc__=Routes.__doc__, spec=(spec, Routes.model_fields["spec"]))
