"""A whole test cluster: the parts that decide are real, what nodes do is stood in for."""

from __future__ import annotations

import http
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from routegen import pipeline
from routegen.compile import compile_text
from routegen.plan import Plan
from support.cluster import control_plane
from support.cluster.api import Api
from support.cluster.gateways import GatewayUnderTest, RunningProxy
from support.cluster.sandbox import Sandbox, wait_for
from support.cluster.stand_ins import Engines, Routers
from support.gateway import Reply, exchange


class Cluster:
    """The API server, a gateway's controller, and engines that routes can lead to."""

    def __init__(self, folder: Path, gateway: GatewayUnderTest) -> None:
        self.gateway, self._stack = gateway, ExitStack()
        self.sandbox = Sandbox(folder)
        self._stack.callback(self.sandbox.close)
        try:
            self.api: Api = control_plane.start_api_server(self.sandbox)
            gateway.start(self.sandbox, self.api)
            self.engines = Engines(self.sandbox, self.api)
            self._stack.callback(self.engines.close)
        except BaseException:
            self.close()
            raise

    def namespace(self, name: str) -> None:
        """Make it, where it isn't there."""
        self.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    @contextmanager
    def installed(self, routes: str, proxy: RunningProxy | None = None) -> Iterator[Installation]:
        """Apply what ``routes`` renders to, and run routers and proxy; delete everything at the end.

        :param proxy: the Gateway's, where it runs already; then it is not ended here.
        """
        plan = self.compiled(routes)
        self.namespace(plan.namespace)
        self.namespace(plan.gateway.namespace)
        routers = Routers(self.sandbox, self.api, f"{plan.name}-router", plan.namespace)
        installation = Installation(self, plan, routers)
        self.api.apply(rendered(plan))
        try:
            routers.roll_out()
            installation.proxy = proxy or self.gateway.proxy(
                self.sandbox, self.api, plan.gateway.name, plan.gateway.namespace
            )
            installation.wait_until_accepted()
            wait_for(installation.serves, "the proxy to have the routes")
            yield installation
        finally:
            if installation.proxy is not None and proxy is None:
                installation.proxy.close()
            routers.close()
            installation.delete()

    def compiled(self, routes: str) -> Plan:
        """The plan of a routes.yaml, for this gateway."""
        return compile_text(routes, "routes.yaml", target=self.gateway.target)

    def close(self) -> None:
        """End everything."""
        self._stack.close()


@dataclass
class Installation:
    """Routes that are at work in the cluster."""

    cluster: Cluster
    plan: Plan
    routers: Routers
    proxy: RunningProxy | None = None

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
        return exchange("127.0.0.1", self.cluster.gateway.port, method, path, body, headers)

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
        self.plan = self.cluster.compiled(routes)
        self.api.apply(rendered(self.plan))
        self.routers.roll_out()

    def objects(self, kinds: str) -> list[Any]:
        """Those of these kinds that bear the routes' labels."""
        return self.api.list(kinds, self.plan.namespace, f"app.kubernetes.io/instance={self.plan.name}")

    def serves(self) -> bool:
        """Whether the router answers through the proxy."""
        host = [("host", name.replace("*", "any")) for name in self.plan.gateway.hostnames[:1]]
        return self.request("GET", "/v1/models", headers=host).status == http.HTTPStatus.OK

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
        found = []
        for item in self.objects(self.cluster.gateway.judged):
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
