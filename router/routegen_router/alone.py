"""The router's one process decides itself."""

from __future__ import annotations

import asyncio
import gc

from . import logs
from .desk import Desk
from .live import InForce
from .metrics import Metrics
from .tallies import Family


class Alone:
    """A :class:`~routegen_router.crew.Crew` of one."""

    size = 1
    begun_anew = 0

    def __init__(
        self,
        listen: tuple[str, ...],
        socket_mode: int,
        metrics: Metrics,
        lines: logs.LineHandler,
        max_body_bytes: int,
    ) -> None:
        self._listen, self._socket_mode = listen, socket_mode
        self._desk = Desk(metrics, lines, max_body_bytes, share=1)

    async def start(self, now: InForce) -> list[str]:
        """Listen.

        :raises StartError: an address can't be had.
        """
        await self.use(now)
        listening = self._desk.listen(self._listen, self._socket_mode)
        await self._desk.start()
        gc.collect()
        gc.freeze()  # what is here stays: collections needn't look through it, a tenth of the cost of a request
        return listening

    async def use(self, now: InForce) -> None:
        """Decide by this."""
        self._desk.use(now.config, now.registry, now.authorizations)

    def learned(self) -> None:
        """Nobody needs telling: the registry is here."""

    def serve(self, *, serving: bool) -> None:
        """Tell gateways."""
        self._desk.health.set(serving=serving)

    def taking(self) -> int:
        """Itself."""
        return 1

    def counted(self) -> list[list[Family]]:
        """There are no others."""
        return []

    async def run(self) -> None:
        """Where this process ends, there is nobody to see to it."""
        await asyncio.Event().wait()

    async def stop(self) -> None:
        """Finish what is under way."""
        await self._desk.stop()
