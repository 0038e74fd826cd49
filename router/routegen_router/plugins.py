"""What other distributions bring: entry points, read without loading anything.

An entry point (Python Packaging User Guide, "Entry points specification") has a group, a name that users write, and
the object behind it. Where two distributions claim one name, nobody gets it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

RULES: Final = "routegen.rules"
"""The group of rules: a verb of routes.yaml -> its :class:`~routegen_router.rules.Rule` class."""


class PluginError(Exception):
    """A plugin can't be had; the text says which, and what to do."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """One name that a distribution claims."""

    name: str
    distribution: str
    version: str
    reference: str
    """``module:object``."""
    entry: EntryPoint = field(compare=False, repr=False)

    def load(self) -> Any:
        """The object behind it.

        :raises PluginError: its module fails.
        """
        try:
            return self.entry.load()
        except Exception as error:  # a plugin's module may raise anything
            raise PluginError(
                f"{self.name} of {self.distribution} can't be loaded: {type(error).__name__}: {error}"
            ) from error


def installed(group: str) -> Mapping[str, tuple[Plugin, ...]]:
    """Every name of a group and who claims it, both sorted."""
    found: dict[str, set[Plugin]] = {}
    for entry in entry_points(group=group):
        distribution = entry.dist.name if entry.dist is not None else "?"
        version = entry.dist.version if entry.dist is not None else "?"
        # A distribution that stands twice on the path (as editable, and in a folder) is one.
        found.setdefault(entry.name, set()).add(Plugin(entry.name, distribution, version, entry.value, entry))
    return {name: tuple(sorted(found[name], key=lambda plugin: plugin.distribution)) for name in sorted(found)}


def claimed_by(name: str, distributions: list[str]) -> str:
    """The sentence where several claim ``name``."""
    return f'"{name}" is claimed by {" and by ".join(distributions)}; uninstall all but one of them'
