"""What is measured side by side: an address that routes chat completions to engines, and the processes behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from processes import Watched


@dataclass(frozen=True)
class Place:
    """Where setups are started."""

    engines: Mapping[str, int]
    """Engine -> its port on this machine."""
    folder: Path
    """For configurations and logs."""
    stack: ExitStack
    """Ends what is started."""


@dataclass(frozen=True)
class Arm:
    """A running setup."""

    url: str
    """Where requests go."""
    proxy: tuple[Watched, ...]
    """What the client talks to."""
    router: tuple[Watched, ...] = ()
    """What the proxy asks; empty where it decides itself."""


@dataclass(frozen=True)
class Setup:
    """A way to route."""

    name: str
    what: str
    """One line for the table's legend."""
    start: Callable[[Place], Arm]
    """May raise :class:`go_programs.MissingError`."""
    chooses: bool = True
    """Whether it sends a request where its body says; the others send everything to the first engine."""
