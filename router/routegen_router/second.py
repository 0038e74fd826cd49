"""The second choice: where a request goes whose engine refuses the connection, if nobody chose that engine by name.

It is what the chain would have decided had the first engine been known to be down. So whoever was chosen by name has
none (a name stands for its backend alone), what a client named is never left (an owner's other backends may take
over), and a preference gives way to the rules behind it where nobody else answers whom it prefers. It is taken only
from the backends that the gateway can change to (``seconds``), and only where the registry knows that it serves the
model and answers.
"""

from __future__ import annotations

from collections.abc import Mapping

from . import stateful
from .config import Config
from .decide import Route, Step, decide
from .models import Snapshot
from .request import Facts
from .rules import Lookup
from .standing import Draw


class Seconds:
    """The second choices of one configuration: build it once, when the configuration is loaded."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._lookups = frozenset(rule.name for rule in config.rules if isinstance(rule, Lookup))
        self._possible: Mapping[str, frozenset[str]] = {
            backend.name: frozenset(backend.seconds) for backend in config.backends if backend.seconds
        }

    def of(self, route: Route, facts: Facts, view: Snapshot, draw: Draw) -> str | None:
        """The second choice for a request that was decided to go to ``route``; ``None``: there is none."""
        possible = self._possible.get(route.backend)
        if not possible or facts.unread or stateful.PATH in facts.path:
            return None
        left = possible & view.alive
        if route.rule in self._lookups:  # the client named this backend, or its owner: nobody else may stand in
            owner = view.known[route.backend].owner
            left = left.intersection(view.bearing(owner)) if owner else frozenset()
        if not left:
            return None
        without = view.as_if_alive(view.alive - {route.backend})
        instead = decide(facts, self._config, without, draw)
        if not isinstance(instead, Route) or instead.backend == route.backend:
            return None
        return instead.backend if instead.backend in left else self._among(left, facts, without, draw)

    def _among(self, left: frozenset[str], facts: Facts, without: Snapshot, draw: Draw) -> str | None:
        """One of ``left``, where the chain would have taken another: only if the same rules have a say in it.

        Else a preference would be left for an engine behind it, although others that are preferred answer.
        """
        free: list[Step] = []
        decide(facts, self._config, without, draw, free)
        bound: list[Step] = []
        instead = decide(facts, self._config, without.as_if_alive(left), draw, bound)
        for one, other in zip(free, bound, strict=False):  # what decides earlier ends earlier
            if (one.rule, one.outcome == "passed") != (other.rule, other.outcome == "passed"):
                return None
        return instead.backend if isinstance(instead, Route) and instead.backend in left else None
