"""A whole test cluster: the parts that decide are real, what nodes do is stood in for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from routegen import pipeline
from routegen.compile import compile_text
from routegen.plan import Plan
from support.cluster import control_plane, tools
from support.cluster.api import Api
from support.cluster.sandbox import Sandbox, wait_for
from support.cluster.stand_ins import Engines, Proxy, Routers
from support.gateway import Reply, exchange

PORT: Final = 10080
"""Where Envoy listens for a Gateway's port 80: Envoy Gateway adds 10000 to ports below 1024."""


class Cluster:
    """The API server, Envoy Gateway, and engines that routes can lead to."""

    def __init__(self, folder: Path, version: tools.Version) -> None:
        self.version, self._stack = version, ExitStack()
        self.sandbox = Sandbox(folder)
        self._stack.callback(self.sandbox.close)
        try:
            self.api: Api = control_plane.start_api_server(self.sandbox)
            control_plane.start_envoy_gateway(self.sandbox, self.api, version)
            self.engines = Engines(self.sandbox, self.api)
            self._stack.callback(self.engines.close)
        except BaseException:
            self.close()
            raise

    def namespace(self, name: str) -> None:
        """Make it, where it isn't there."""
        self.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    @contextmanager
    def installed(self, routes: str, proxy: Proxy | None = None) -> Iterator[Installation]:
        """Apply what ``routes`` renders to, and run routers and proxy; delete everything at the end.

        :param proxy: the Gateway's, where it runs already; then it is not ended here.
        """
        plan = compile_text(routes, "routes.yaml")
        self.namespace(plan.namespace)
        routers = Routers(self.sandbox, self.api, f"{plan.name}-router", plan.namespace)
        installation = Installation(self, plan, routers)
        self.api.apply(rendered(plan))
        try:
            routers.roll_out()
            installation.proxy = proxy or Proxy(
                self.sandbox, self.api, self.version, plan.gateway.name, plan.gateway.namespace
            )
            installation.wait_until_accepted()
            yield installation
        finally:
            if installation.proxy is not None and proxy is None:
                installation.proxy.close()
            routers.close()
            installation.delete()

    def close(self) -> None:
        """End everything."""
        self._stack.close()


@dataclass
class Installation:
    """Routes that are at work in the cluster."""

    cluster: Cluster
    plan: Plan
    routers: Routers
    proxy: Proxy | None = None

    @property
    def api(self) -> Api:
        """The cluster's."""
        return self.cluster.api

    def request(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> Reply:
        """Send one request to the Gateway."""
        return exchange("127.0.0.1", PORT, method, path, body, headers)

    def post(
        self,
        body: Mapping[str, Any] | bytes,
        path: str = "/v1/chat/completions",
        headers: Sequence[tuple[str, str]] = (),
    ) -> Reply:
        """Send JSON to an inference path."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.request("POST", path, data, [("content-type", "application/json"), *headers])

    def change(self, routes: str) -> None:
        """Apply another version of the routes and let the routers follow."""
        self.plan = compile_text(routes, "routes.yaml")
        self.api.apply(rendered(self.plan))
        self.routers.roll_out()

    def objects(self, kinds: str) -> list[Any]:
        """Those of these kinds that bear the routes' labels."""
        return self.api.list(kinds, self.plan.namespace, f"app.kubernetes.io/instance={self.plan.name}")

    def wait_until_accepted(self) -> None:
        """Until the controller has said yes to every object that it judges."""
        troubles: list[str] = []

        def accepted() -> bool:
            troubles[:] = self.troubles()
            return not troubles

        try:
            wait_for(accepted, "every object to be accepted")
        except AssertionError as error:
            raise AssertionError("\n".join([str(error), *troubles])) from None

    def troubles(self) -> list[str]:
        """What the controller has against any of the objects, or hasn't judged yet."""
        judged = (
            "gateway,httproute,clienttrafficpolicy,backendtrafficpolicy,envoyextensionpolicy,backendtlspolicy,backend"
        )
        found = []
        for item in self.objects(judged):
            name = f"{item['kind']}/{item['metadata']['name']}"
            conditions = list(_conditions(item))
            if not conditions:
                found.append(f"{name}: not judged")
            found += [
                f"{name}: {one['type']}={one['status']} {one['reason']}: {one['message']}"
                for one in conditions
                if one["status"] != "True" and one["type"] != "Merged"
            ]
        return found

    def delete(self) -> None:
        """Remove what the routes render to, as the page says."""
        done = self.api.kubectl("delete", "--ignore-not-found", "-f", "-", documents=rendered(self.plan))
        assert done.code == 0, done.err


def rendered(plan: Plan) -> str:
    """What ``routegen render`` prints."""
    return pipeline.to_text(pipeline.render(plan).documents)


def _conditions(item: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    status = item.get("status", {})
    yield from status.get("conditions", [])
    for parent in [*status.get("parents", []), *status.get("ancestors", [])]:
        yield from parent.get("conditions", [])
