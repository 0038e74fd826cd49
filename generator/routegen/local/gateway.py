"""Envoy and the router on this machine, for one plan at a time.

A change is taken over without a failed request, in an order that no request can fall between: first Envoy gets the
routes and clusters of the old and the new plan together, then the router gets the new rules, then, when nothing is on
its way to a removed backend any more, Envoy gets the new plan alone. The exception is a backend whose address and key
change at once (:mod:`~routegen.local.crossing`).
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Final, TypeVar

import msgspec

from routegen.common.problems import UserError
from routegen.local.access import Access
from routegen.local.children import Child
from routegen.local.crossing import crossing
from routegen.local.envoy_process import EnvoyProcess
from routegen.local.router_process import RouterProcess, config_of
from routegen.local.workdir import Workdir
from routegen.plan import Listener, Plan, PoolRef
from routegen_router.config import reads

LOOPBACK: Final = "127.0.0.1"
POLL: Final = 2.0
"""Engines are asked for their models at least this often, in seconds: on one's own machine they come and go."""
SETTLE: Final = 1.0
"""Seconds between the last decision by the old plan and the end of its routes; by then no attempt is repeated."""
GRACE: Final = 3.0
"""Seconds that each process gets to end."""

T = TypeVar("T")


class LocalGateway:
    """One Envoy and one router, from :meth:`start` to :meth:`stop`, which must be called whatever happened.

    :raises UserError: Envoy isn't on this machine, or a port is taken.
    """

    def __init__(
        self,
        *,
        port: int,
        admin_port: int,
        on_access: Callable[[Access], None],
        on_trouble: Callable[[str], None],
    ) -> None:
        """Prepare; nothing is started yet.

        :param port: where clients connect on loopback; 0 takes a free port. Likewise ``admin_port``.
        :param on_access: called for each request when it is over.
        :param on_trouble: gets a sentence where the router reports an error.
        """
        _check_free(port, "--port")
        _check_free(admin_port, "--admin-port")
        self._port = port
        self._files = Workdir()
        try:
            self.envoy = EnvoyProcess(self._files, admin_port, on_access)
        except UserError:
            self._files.remove()
            raise
        self.router = RouterProcess(self._files, on_trouble)
        self._children: list[Child] = []
        self._plan: Plan | None = None

    @property
    def plan(self) -> Plan:
        """The one in force, as it was changed for this machine."""
        assert self._plan is not None  # start() comes first
        return self._plan

    async def start(self, plan: Plan) -> None:
        """Start both and wait until they answer; the engines needn't.

        :raises UserError: something stands in the way; it says what to do.
        """
        plan = self._local(plan)
        self._files.write_router_config(config_of(plan))
        self._children.append(await self.router.start())  # takes a moment, as rendering does
        documents = await self._while_alive(self.envoy.render(plan))
        self._children.append(await self.envoy.start(documents))
        await self._while_alive(self.router.listening())
        await self._while_alive(self.envoy.ready())
        self._plan = plan

    async def take_over(self, plan: Plan) -> None:
        """Change to another plan while requests go on.

        :raises UserError: Envoy or the router can't take it over; what was in force stays.
        """
        old, plan = self.plan, self._local(plan)
        documents = await self.envoy.render(plan)
        if not self.envoy.can_take_over(documents):
            raise UserError(f"{_fixed(old, plan)} can't change while Envoy runs: end `routegen up` and start it again")
        both = crossing(old, plan)
        await self._while_alive(self.envoy.publish(documents if both == plan else await self.envoy.render(both)))
        try:
            await self._while_alive(self.router.configure(config_of(plan)))
        except UserError:
            await self._while_alive(self.envoy.publish(await self.envoy.render(old)))
            raise
        self._plan = plan
        if both != plan:
            await asyncio.sleep(SETTLE)
            await self._while_alive(self.envoy.publish(documents))

    async def died(self) -> UserError:
        """Wait until Envoy or the router ends by itself; the sentence that says so."""
        waiting = [asyncio.create_task(child.died()) for child in self._children]
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for task in waiting:
                task.cancel()

    async def stop(self) -> None:
        """End both, Envoy first, and delete all files."""
        try:
            for child in reversed(self._children):
                await child.stop(GRACE)
        finally:
            self.kill()

    def kill(self) -> None:
        """End both at once and delete all files."""
        for child in self._children:
            child.kill()
        self._files.remove()

    def _local(self, plan: Plan) -> Plan:
        """The plan with what belongs to this machine: one plain listener on loopback, the router's socket."""
        interval = min(plan.models.interval, max(POLL, plan.models.timeout))
        return replace(
            plan,
            gateway=replace(plan.gateway, listeners=(Listener("local", self._port, LOOPBACK),), hostnames=()),
            router=replace(plan.router, addresses=(self.router.address,), tls=None),
            models=msgspec.structs.replace(plan.models, interval=interval),
        )

    async def _while_alive(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something that needs the processes; the death of one is an error at once."""
        task, death = asyncio.create_task(work), asyncio.create_task(self.died())
        try:
            await asyncio.wait([task, death], return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise death.result()
            return task.result()
        finally:
            task.cancel()
            death.cancel()


def _check_free(port: int, option: str) -> None:
    """See that a port can be listened on.

    Envoy shares ports (SO_REUSEPORT): a second one would take half of the first one's connections without a word.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            why = "is in use" if error.errno == errno.EADDRINUSE else f"can't be used ({error.strerror})"
            raise UserError(
                f"port {port} on {LOOPBACK} {why}; choose another with {option} (0 takes a free one)"
            ) from None


def _pickers(plan: Plan) -> list[tuple[str, bool, int]]:
    """What the listener holds of them: whose replies are whose, and the sizes that they name."""
    reaches = [(pool.name, pool.reach) for pool in plan.pools]
    return [
        (name, reach.picker.fail_open, reach.picker.max_body_bytes)
        for name, reach in reaches
        if isinstance(reach, PoolRef) and reach.picker is not None
    ]


def _fixed(old: Plan, new: Plan) -> str:
    """What stands in the bootstrap and differs between two plans, in the words of routes.yaml."""
    what = {
        "metadata": (old.name, old.namespace) != (new.name, new.namespace),
        "spec.routingHeader": old.routing_header != new.routing_header,
        "spec.maxBodyBytes": old.max_body_bytes != new.max_body_bytes,
        "spec.passthrough": old.passthrough != new.passthrough,
        "spec.byHeaders": bool(old.by_headers) != bool(new.by_headers),
        "which InferencePools have a picker, or how that fails": _pickers(old) != _pickers(new),
        "whether a key is sent (apiKey: {send: true})": old.sends_keys != new.sends_keys,
        "the set of headers that rules read": reads(old.rules).headers != reads(new.rules).headers,
    }
    return ", ".join(name for name, differs in what.items() if differs) or "what the listener is made of"
