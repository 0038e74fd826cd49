"""The plan: what is to be rendered, with every default filled in and every reference resolved.

The intermediate representation between routes.yaml and the documents. Frozen; it knows no file, no line, no target's
dialect. Its rules are the router's own, ready to be loaded. The compiler makes it, emitters only read it. Durations are
seconds, sizes bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from routegen.plan.router import Router
from routegen_router import config
from routegen_router.config import Models
from routegen_router.request import Opened
from routegen_router.rules import Rule

READING: Final = config.READING
"""The methods by which the router's own answers are asked for."""
MODELS_PATH: Final = config.MODELS_PATH
"""The list of all engines' models, which the router answers, and below it each model by its id."""


@dataclass(frozen=True, slots=True)
class ListenerTLS:
    """The certificate that a listener serves: a Secret, or two PEM files (outside Kubernetes)."""

    secret: str | None = None
    cert_file: str | None = None
    key_file: str | None = None


@dataclass(frozen=True, slots=True)
class Listener:
    """One port that clients connect to."""

    name: str
    port: int
    address: str = "0.0.0.0"  # noqa: S104 - a gateway's default is to listen everywhere; used by target `envoy` only
    tls: ListenerTLS | None = None


@dataclass(frozen=True, slots=True)
class Gateway:
    """The gateway that serves the routes."""

    target: str
    name: str
    namespace: str
    class_name: str
    create: bool
    listeners: tuple[Listener, ...]
    hostnames: tuple[str, ...]
    memory: int
    """Bytes of heap that the gateway may have, where the target bounds it."""


@dataclass(frozen=True, slots=True)
class ServiceRef:
    """A Kubernetes Service's port."""

    name: str
    namespace: str
    port: int

    @property
    def host(self) -> str:
        """Its cluster DNS name."""
        return f"{self.name}.{self.namespace}.svc.cluster.local"


@dataclass(frozen=True, slots=True)
class UpstreamTLS:
    """How to speak TLS to an engine."""

    server_name: str | None = None
    """SNI and the name to verify; ``None``: the host that is connected to."""
    ca_file: str | None = None
    """PEM file on the gateway's disk (target `envoy`)."""
    ca_config_map: str | None = None
    """ConfigMap with ``ca.crt`` in the backend's namespace (Kubernetes targets)."""
    verify: bool = True


@dataclass(frozen=True, slots=True)
class Picker:
    """A pool's endpoint picker, for gateways that ask it at an address."""

    endpoints: tuple[tuple[str, int], ...]
    fail_open: bool = False
    """Whether a request goes to any endpoint of the pool where the picker can't be asked."""
    tls: UpstreamTLS | None = None
    health_port: int | None = None
    """Where it serves gRPC health; ``None``: it is healthy while it takes connections."""
    timeout: float = 2.0
    max_body_bytes: int = 4_000_000


@dataclass(frozen=True, slots=True)
class PoolRef:
    """An InferencePool (inference.networking.k8s.io/v1)."""

    name: str
    namespace: str
    endpoints: tuple[tuple[str, int], ...] = ()
    """Its pods, for gateways that don't read them from the cluster: host and port pairs."""
    picker: Picker | None = None


@dataclass(frozen=True, slots=True)
class Addresses:
    """Host and port pairs outside Kubernetes; hosts are IP addresses or DNS names."""

    endpoints: tuple[tuple[str, int], ...]


Reach = ServiceRef | PoolRef | Addresses


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Where an engine's API key lies; never the key itself."""

    secret: str | None = None
    """A Secret in the routes' namespace (Kubernetes targets)."""
    secret_key: str = "api-key"  # noqa: S105 - the key's name
    """The key in it."""
    env: str | None = None
    """An environment variable of the router's process."""
    file: str | None = None
    """A file on the router's disk."""
    send: bool = False
    """Whether requests carry it too, in place of the client's ``authorization``."""


@dataclass(frozen=True, slots=True)
class Mirror:
    """Copies of one backend's requests, for another, whose answers are thrown away."""

    to: str
    """The backend that gets them."""
    percent: float
    """Of the requests, at random; more than 0, at most 100."""
    at_once: int
    """Copies at a time; beyond that none is made."""
    timeout: float
    """Seconds for a copy in all."""


@dataclass(frozen=True, slots=True)
class Backend:
    """One place a request can go."""

    name: str
    reach: Reach
    owner: str | None = None
    models: tuple[str, ...] = ()
    tls: UpstreamTLS | None = None
    api_key: ApiKey | None = None
    poll_urls: tuple[str, ...] = ()
    """Where the registry asks for its models, the next where one doesn't answer; empty: it isn't asked."""
    first_byte: float | None = None
    """Seconds until its answer must begin; ``None``: as long as it takes."""
    renames: tuple[tuple[str, str], ...] = ()
    """A model's name for clients, and its name for this engine, where that is another."""
    strips: tuple[tuple[str, ...], ...] = ()
    """Fields that are taken out of the bodies that go to it."""
    seconds: tuple[str, ...] = ()
    """The backends that a request may go to instead, where this one refuses the connection; the best first."""
    mirror: Mirror | None = None
    """Where copies of its requests go; ``None``: nowhere."""


class Passthrough(Opened, frozen=True):
    """A request that reaches an engine unread, on a route without the router."""

    backend: str


@dataclass(frozen=True, slots=True)
class Failover:
    """When a request goes to its second choice, beside a refused connection."""

    statuses: tuple[int, ...] = ()
    """Statuses of the first engine's answer."""
    reset: bool = False
    """Where the connection is lost before an answer; the first engine may have begun its work."""
    enabled: bool = True
    """Whether routes.yaml wants second choices at all; which there are is each backend's to say."""


@dataclass(frozen=True, slots=True)
class Cors:
    """Which web pages of other origins may call the gateway."""

    allow_origins: tuple[str, ...]
    """Origins, ``*`` for any, ``https://*.example.com`` for all names below a domain."""
    allow_headers: tuple[str, ...]
    expose_headers: tuple[str, ...]
    allow_credentials: bool
    max_age: float
    """Seconds."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that an emitter may need."""

    name: str
    namespace: str
    gateway: Gateway
    router: Router
    routing_header: str
    """Lower case."""
    paths: tuple[str, ...]
    passthrough: tuple[Passthrough, ...]
    max_body_bytes: int
    models: Models
    backends: tuple[Backend, ...]
    """In the order of routes.yaml."""
    rules: tuple[Rule, ...]
    failover: Failover = Failover()
    cors: Cors | None = None
    """``None``: pages of other origins can't read an answer."""
    by_headers: tuple[Opened, ...] = ()
    """Requests that the router decides by headers and query alone; their bodies aren't read."""

    @property
    def sends_keys(self) -> bool:
        """Whether some engine's key goes on its requests."""
        return any(backend.api_key is not None and backend.api_key.send for backend in self.backends)

    @property
    def health_checks(self) -> tuple[tuple[str, str], ...]:
        """(method, path) of the health checks that the router answers: those that nothing else takes.

        None on somebody else's Gateway without host names, where they could be another team's.
        """
        if not self.gateway.create and not self.gateway.hostnames:
            return ()
        taken = (*self.passthrough, *self.by_headers)
        return tuple(
            (method, path)
            for path in config.HEALTH_PATHS
            for method in config.READING
            if not any(entry.method == method and entry.takes(path) for entry in taken)
        )

    @property
    def pools(self) -> tuple[Backend, ...]:
        """The backends whose pool's picker the gateway is told to ask."""
        return tuple(one for one in self.backends if isinstance(one.reach, PoolRef) and one.reach.picker is not None)

    def backend(self, name: str) -> Backend:
        """The backend called ``name``.

        :raises KeyError: there is none.
        """
        return {backend.name: backend for backend in self.backends}[name]
