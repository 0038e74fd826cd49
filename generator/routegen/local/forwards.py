"""Engines in a cluster, each forwarded to a port of this machine by ``kubectl port-forward``: nothing changes there.

kubectl knows the user's kubeconfig, with its plugins and proxies, and how this API server forwards. It follows one pod;
when that goes it ends, and is started again on the same port.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from asyncio import Future, Task
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final, Self

from routegen.common.problems import UserError
from routegen.local.children import Child
from routegen.plan import Backend, Plan, ServiceRef

PATIENCE: Final = 30.0
"""Seconds that kubectl may take to forward."""
PAUSE: Final = 1.0
"""Seconds before it is started again."""
GRACE: Final = 2.0
"""Seconds that it gets to end."""
_FORWARDING: Final = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+) ->")


def forwardable(backend: Backend) -> bool:
    """Whether there is a Service to forward to."""
    return isinstance(backend.reach, ServiceRef)


def verified_by_service(plan: Plan) -> Plan:
    """The plan with each Service's certificate verified by the Service's own name, wherever it is forwarded to."""
    return replace(plan, backends=tuple(map(_verified, plan.backends)))


def _verified(backend: Backend) -> Backend:
    if isinstance(backend.reach, ServiceRef) and backend.tls is not None and backend.tls.server_name is None:
        return replace(backend, tls=replace(backend.tls, server_name=backend.reach.host))
    return backend


class Forwards:
    """One for each Service that was asked for; each lives until the ``async with`` block ends."""

    def __init__(self, context: str | None, on_trouble: Callable[[str], None]) -> None:
        """Prepare.

        :param context: of the kubeconfig; ``None``: its current one.
        :param on_trouble: gets a sentence where a forward is lost, and where it is back.
        """
        self._context, self._on_trouble = context, on_trouble
        self._ports: dict[ServiceRef, int] = {}
        self._keepers: dict[ServiceRef, Task[None]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        for keeper in self._keepers.values():
            keeper.cancel()
        await asyncio.gather(*self._keepers.values(), return_exceptions=True)

    async def start(self, backends: Iterable[Backend]) -> dict[str, str]:
        """Forward to these backends' Services; the URLs on this machine by backend.

        :raises UserError: kubectl isn't here, or can't.
        """
        urls = {}
        for backend in backends:
            assert isinstance(backend.reach, ServiceRef)
            port = await self._port(backend.reach)
            urls[backend.name] = f"{'https' if backend.tls is not None else 'http'}://127.0.0.1:{port}"
        return urls

    async def _port(self, service: ServiceRef) -> int:
        if service not in self._ports:
            forward = _Forward(self._context, service)
            self._ports[service] = await forward.start(0)
            keep = self._keep(service, forward)
            self._keepers[service] = asyncio.create_task(keep)
        return self._ports[service]

    async def _keep(self, service: ServiceRef, forward: _Forward) -> None:
        """Start it again whenever it ends."""
        where = f"{service.namespace}/{service.name}"
        try:
            while True:
                await forward.lost()
                self._on_trouble(f"lost the forward to {where}; trying again")
                while True:
                    await asyncio.sleep(PAUSE)
                    try:
                        await forward.start(self._ports[service])
                    except UserError:
                        continue
                    self._on_trouble(f"the forward to {where} is back")
                    break
        finally:
            await forward.stop()


class _Forward:
    """One kubectl at a time."""

    def __init__(self, context: str | None, service: ServiceRef) -> None:
        self._service = service
        self._context = [] if context is None else ["--context", context]
        self._child: Child | None = None

    async def start(self, port: int) -> int:
        """Forward from ``port`` (0: any free one); the port.

        :raises UserError: it can't.
        """
        kubectl = shutil.which("kubectl")
        if kubectl is None:
            raise UserError("--cluster forwards with kubectl, which is not on PATH")
        service, taken = self._service, _future()
        local = str(port) if port else ""
        self._child = await Child.start(
            f"kubectl port-forward to {service.namespace}/{service.name}",
            [
                *(kubectl, *self._context, "--namespace", service.namespace, "port-forward", "--address", "127.0.0.1"),
                *(f"service/{service.name}", f"{local}:{service.port}"),
            ],
            stdout=lambda line: _take(line, taken),
            stderr=lambda _line: True,
        )
        died = asyncio.create_task(self._child.died())
        either: set[Future[Any]] = {taken, died}
        try:
            await asyncio.wait(either, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        finally:
            died.cancel()
            if not taken.done():
                await self.stop()
        if taken.done():
            return taken.result()
        raise died.result() if died.done() else UserError(f"{self._child.name} takes too long")

    async def lost(self) -> None:
        """Wait until it ends by itself."""
        assert self._child is not None
        await self._child.died()

    async def stop(self) -> None:
        """End it."""
        if self._child is not None:
            await self._child.stop(GRACE)


def _future() -> Future[int]:
    return asyncio.get_running_loop().create_future()


def _take(line: str, taken: Future[int]) -> None:
    """The port that it forwards from."""
    if (match := _FORWARDING.match(line)) and not taken.done():
        taken.set_result(int(match[1]))
