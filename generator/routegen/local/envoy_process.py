"""Envoy as a child process that reads its routes and clusters from files."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from routegen.common.problems import UserError
from routegen.common.text import to_yaml
from routegen.envoy import binary as envoy_binary
from routegen.local import http
from routegen.local.access import Access
from routegen.local.children import Child
from routegen.local.workdir import Workdir
from routegen.plan import Plan

START_TIMEOUT: Final = 30.0
TAKE_OVER_TIMEOUT: Final = 30.0
"""Seconds; a new cluster is used after its first health check, which may take 10."""
BOOTSTRAP: Final = "envoy.yaml"

T = TypeVar("T")
Documents = dict[str, dict[str, Any]]
"""File name -> document: the bootstrap, and the routes and clusters that it watches."""


class EnvoyProcess:
    """The binary is looked for when this is made.

    :raises UserError: there is none that will do.
    """

    def __init__(self, files: Workdir, admin_port: int, on_access: Callable[[Access], None]) -> None:
        self.url = self.admin = ""
        """Where clients connect, and ``host:port`` of the admin interface, once started."""
        self._binary = envoy_binary.require()
        self._files, self._admin_port, self._on_access = files, admin_port, on_access
        self._bootstrap: dict[str, Any] = {}

    async def render(self, plan: Plan) -> Documents:
        """Make all documents, if Envoy accepts them.

        Envoy validates only what stands in a bootstrap, so it is shown the static form of the same documents.

        :raises UserError: it refuses them.
        """
        return await asyncio.to_thread(self._render, plan)

    def can_take_over(self, documents: Documents) -> bool:
        """Whether all that differs from what runs is in the files that it watches."""
        return documents[BOOTSTRAP] == self._bootstrap

    async def start(self, documents: Documents) -> Child:
        """Start it with these documents."""
        self._bootstrap = documents[BOOTSTRAP]
        self._files.bootstrap.write_text(to_yaml([self._bootstrap]), encoding="utf-8")
        self._files.publish(_watched(documents))
        command = [
            *(str(self._binary), "-c", str(self._files.bootstrap)),
            *("--admin-address-path", str(self._files.admin_address)),
            *("--file-flush-interval-msec", "100"),
            *("--log-level", "warning"),
            *("--concurrency", "2"),
            "--disable-hot-restart",
        ]
        return await Child.start("Envoy", command, stdout=self._access_log, stderr=lambda _line: True)

    async def ready(self) -> None:
        """Wait until it serves requests."""
        self.admin = await _until(self._admin_address, START_TIMEOUT, "Envoy does not start")
        await _until(self._answers, START_TIMEOUT, "Envoy does not become ready")
        _, body = await http.get(self.admin, "/listeners?format=json")
        [listener] = json.loads(body)["listener_statuses"]
        address = listener["local_address"]["socket_address"]
        self.url = f"http://{address['address']}:{address['port_value']}"

    async def publish(self, documents: Documents) -> None:
        """Make routes and clusters live, and wait until they are in use.

        :raises UserError: that takes too long, because Envoy refuses them.
        """
        version = self._files.publish(_watched(documents))

        async def in_use() -> bool:
            _, body = await http.get(self.admin, "/stats?filter=(version_text|warming_clusters)$")
            stats = dict(line.split(": ", 1) for line in body.decode().splitlines())
            versions = {value.strip('"') for name, value in stats.items() if name.endswith("version_text")}
            return versions == {version} and stats["cluster_manager.warming_clusters"] == "0"

        await _until(in_use, TAKE_OVER_TIMEOUT, "Envoy does not take over the new routes")

    def _render(self, plan: Plan) -> Documents:
        from routegen.emit.envoy import bootstrap  # noqa: PLC0415 - takes half a second

        admin = f"127.0.0.1:{self._admin_port}"
        reason = envoy_binary.reason_to_refuse(self._binary, to_yaml([bootstrap.static(plan, admin=admin)]))
        if reason is not None:
            raise UserError(f"Envoy ({self._binary}) refuses the configuration: {reason}")
        return bootstrap.live(plan, self._files.xds, admin=admin)

    async def _admin_address(self) -> str:
        try:
            return self._files.admin_address.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    async def _answers(self) -> bool:
        try:
            status, _ = await http.get(self.admin, "/ready")
        except OSError:
            return False
        return status == 200  # noqa: PLR2004 - HTTP's OK

    def _access_log(self, line: str) -> None:
        access = Access.read(line)
        if access is not None:
            self._on_access(access)


def _watched(documents: Documents) -> Documents:
    return {name: document for name, document in documents.items() if name != BOOTSTRAP}


async def _until(look: Callable[[], Awaitable[T]], seconds: float, problem: str) -> T:
    """Look again and again until there is something; after some seconds ``problem`` is an error."""
    end = time.monotonic() + seconds
    while not (found := await look()):
        if time.monotonic() > end:
            raise UserError(f"{problem} within {seconds:g} s")
        await asyncio.sleep(0.02)
    return found
