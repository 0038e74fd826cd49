"""Who decides for a router: its one process itself, or workers. The seam between them and the rest of the router."""

from __future__ import annotations

from typing import Protocol

from .live import InForce
from .tallies import Family


class Crew(Protocol):
    """Lives on one event loop; what it tells of itself may be read from any thread."""

    size: int
    """How many processes decide, when all is well."""
    begun_anew: int
    """How often one was begun in place of one that had ended."""

    async def start(self, now: InForce) -> list[str]:
        """Listen, without telling gateways yet that requests are welcome; all addresses, with their true ports.

        :raises StartError: it can't be done; nothing is left running.
        """

    async def use(self, now: InForce) -> None:
        """Decide by this; returns when all do."""

    def learned(self) -> None:
        """Something new is known of an engine."""

    def serve(self, *, serving: bool) -> None:
        """Tell gateways whether requests are welcome; they are decided either way."""

    def taking(self) -> int:
        """How many processes are there to decide."""

    def counted(self) -> list[list[Family]]:
        """What others than this process have counted."""

    async def run(self) -> None:
        """See to it that all of them go on, until cancelled."""

    async def stop(self) -> None:
        """Finish what is under way, and end."""
