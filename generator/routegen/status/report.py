"""What is said of a cluster: each object and each router, with its troubles."""

from __future__ import annotations

from dataclasses import dataclass

from routegen.common.problems import Trouble


@dataclass(frozen=True, slots=True)
class Item:
    """One object that routes.yaml renders, or that it needs."""

    kind: str
    namespace: str
    """Empty where the kind has none."""
    name: str
    troubles: tuple[Trouble, ...] = ()
    note: str = ""
    """What is worth knowing where nothing is wrong, such as a Gateway's address."""


@dataclass(frozen=True, slots=True)
class RouterItem:
    """One router pod, and what it knows of the engines."""

    pod: str
    troubles: tuple[Trouble, ...] = ()
    engines: tuple[str, ...] = ()
    """A sentence a backend."""


@dataclass(frozen=True, slots=True)
class Report:
    """All of it."""

    name: str
    namespace: str
    target: str
    items: tuple[Item, ...]
    routers: tuple[RouterItem, ...]
    unread: tuple[str, ...] = ()
    """What couldn't be looked at, in sentences: no trouble by itself, and no proof that all is well."""

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """Every trouble."""
        found = [*(item.troubles for item in self.items), *(router.troubles for router in self.routers)]
        return tuple(trouble for troubles in found for trouble in troubles)
