"""The router in the plan: its deployment, who may connect to it, and what both sides show each other."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate with its key, and the authority by which the other side is verified: PEM files, on its own disk."""

    cert_file: str
    key_file: str
    ca_file: str


@dataclass(frozen=True, slots=True)
class RouterTLS:
    """TLS between the gateway and the router; both show a certificate."""

    router: Identity
    gateway: Identity
    server_name: str | None = None
    """The name in the router's certificate; ``None``: the host of its address."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Pods of one namespace."""

    namespace: str
    labels: tuple[tuple[str, str], ...] = ()
    """All of which each has; empty: every pod there."""


@dataclass(frozen=True, slots=True)
class NetworkPolicy:
    """Who may connect to the router's pods."""

    gateway: Peer
    metrics: tuple[Peer, ...] = ()
    """Who may read metrics and status, beside the kubelet."""


@dataclass(frozen=True, slots=True)
class Router:
    """The router's own deployment."""

    image: str
    replicas: int
    resources: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    """``(("requests", (("cpu", "250m"), …)), ("limits", …))``, in output order."""
    addresses: tuple[str, ...]
    """Where target `envoy` finds it: ``host:port`` or ``unix:/path``, one a worker process."""
    max_inflight_bytes: int
    failure_backend: str | None
    """``None``: a request without a decision is refused (closed); else the backend that it goes to."""
    workers: int = 1
    """Processes that decide, in each Pod or at each address that was given."""
    tls: RouterTLS | None = None
    """``None``: plain HTTP/2."""
    network_policy: NetworkPolicy | None = None
    """``None``: whoever the cluster lets."""
