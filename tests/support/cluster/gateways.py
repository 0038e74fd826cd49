"""The gateways that the cluster is tested with: each one's programs, its controller, its proxy."""

from __future__ import annotations

import os
from typing import Any, Final, Protocol

from support.cluster import control_plane, istio, tools
from support.cluster.api import Api
from support.cluster.sandbox import INSIDE, Sandbox
from support.cluster.stand_ins import Proxy


class RunningProxy(Protocol):
    """The proxy of one Gateway."""

    def dump(self) -> Any:
        """Its configuration as it holds it."""

    def close(self) -> None:
        """End it."""


class GatewayUnderTest(Protocol):
    """What differs from gateway to gateway."""

    name: str
    """With its version."""
    target: str
    """What is rendered for it."""
    port: int
    """Where its proxy listens for a Gateway's port 80."""
    judged: str
    """The kinds of objects that it says yes or no to, for kubectl."""

    def missing(self) -> str | None:
        """Why it can't be tested; ``None``: it can."""

    def build(self) -> None:
        """Make what is missing."""

    def start(self, sandbox: Sandbox, api: Api) -> None:
        """Its CRDs, its controller."""

    def proxy(self, sandbox: Sandbox, api: Api, gateway: str, namespace: str) -> RunningProxy:
        """The proxy that it wants for a Gateway."""


class EnvoyGateway:
    """Envoy Gateway with the Envoy that it ships."""

    target = "envoy-gateway"
    port = 10080
    judged = "gateway,httproute,clienttrafficpolicy,backendtrafficpolicy,envoyextensionpolicy,backendtlspolicy,backend"

    def __init__(self, version: tools.Version) -> None:
        self._version = version
        self.name = f"Envoy Gateway {version.gateway}, Envoy {version.envoy}"

    def missing(self) -> str | None:
        """See :class:`GatewayUnderTest`."""
        return tools.missing(*tools.needed(self._version))

    def build(self) -> None:
        """See :class:`GatewayUnderTest`."""
        tools.build(self._version)

    def start(self, sandbox: Sandbox, api: Api) -> None:
        """See :class:`GatewayUnderTest`."""
        control_plane.start_envoy_gateway(sandbox, api, self._version)

    def proxy(self, sandbox: Sandbox, api: Api, gateway: str, namespace: str) -> RunningProxy:
        """See :class:`GatewayUnderTest`."""
        return Proxy(sandbox, api, self._version, gateway, namespace)


class Istio:
    """istiod with a plain Envoy for its proxy."""

    target = "istio"
    port = 80
    judged = "gateway,httproute"
    name = f"Istio {istio.VERSION}, Envoy {istio.ENVOY}"

    def missing(self) -> str | None:
        """See :class:`GatewayUnderTest`."""
        return tools.missing(istio.folder(), tools.envoy(istio.ENVOY))

    def build(self) -> None:
        """See :class:`GatewayUnderTest`."""
        istio.build()

    def start(self, sandbox: Sandbox, api: Api) -> None:
        """See :class:`GatewayUnderTest`."""
        istio.start(sandbox, api)

    def proxy(self, sandbox: Sandbox, api: Api, gateway: str, namespace: str) -> RunningProxy:
        """See :class:`GatewayUnderTest`."""
        return istio.Proxy(sandbox, api, gateway, namespace)


GATEWAYS: Final[dict[str, GatewayUnderTest]] = {
    **{name: EnvoyGateway(version) for name, version in tools.ENVOY_GATEWAYS.items()},
    "istio": Istio(),
}
"""What ``make test-cluster`` may be asked for, by name."""
TARGET: Final = GATEWAYS[os.environ[INSIDE]].target if INSIDE in os.environ else ""
"""What is rendered for the gateway of this run; empty outside one."""
