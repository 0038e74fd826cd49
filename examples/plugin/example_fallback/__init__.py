"""A rule for routegen: ``fallback: [a, b]`` takes the first of these names that can take the request."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from msgspec import Meta

from routegen_router.rules import Rule, Verb
from routegen_router.standing import Name, Narrow, Outcome, Pass, Standing


class Fallback(Rule, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="fallback"):
    """Keep the backends of the first of these names that serve the model and answer, else pass."""

    names: Annotated[tuple[Name, ...], Meta(min_length=1), Verb("fallback", "Names: the best first.")]

    def choose(self, standing: Standing) -> Outcome:
        """Go through the names in order; engines that have stopped answering don't count."""
        for name in self.names:
            bearing = standing.bearing(name)
            left = tuple(one for one in standing.candidates if one in bearing and one in standing.view.alive)
            if left:
                return Narrow(left, partial("{} is the first that can".format, name))
        return Pass(lambda: f"none of {', '.join(self.names)} can")
