"""The end of the chain: ``reject: Say which engine you want.``."""

from __future__ import annotations

from typing import Annotated

from routegen_router.refusals import Reject
from routegen_router.standing import Outcome, Refuse, Standing

from .rule import Bearing, Rule, Verb


class NoRoute(Rule, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="reject"):
    """Refuse the request with 400 `no_route`."""

    message: Annotated[str, Verb("reject", "The error message for the client.")]

    def choose(self, standing: Standing) -> Outcome:
        """Refuse."""
        del standing
        return Refuse(Reject(400, "no_route", self.message))

    def ends_chain(self, bearing: Bearing) -> bool:
        """Nothing gets past it."""
        del bearing
        return True
