"""The engines' own options and variables by version: ``<engine>.options.json``, made by scripts/engine_options.py."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final, Literal

Version = tuple[int, ...]
Takes = Literal["none", "one", "many", "maybe"]

OPEN: Final = object()
"""A default that the parser leaves open, or that differs by version where the version isn't known."""


@dataclass(frozen=True, slots=True)
class Row:
    """One option of an engine's parser."""

    name: str
    """Its first flag, without dashes."""
    flags: tuple[str, ...]
    """All flags that mean it, without dashes."""
    off: tuple[str, ...]
    """The flags that switch it off."""
    takes: Takes
    """How many values follow; ``maybe`` is one or none."""
    versions: tuple[Version, ...]
    """Those that have it."""
    defaults: Mapping[Version, Any]
    """By version; versions whose default the source doesn't tell are missing."""


@dataclass(frozen=True)
class Table:
    """All options of one engine in the versions that were read."""

    versions: tuple[Version, ...]
    rows: tuple[Row, ...]
    variables: Mapping[str, Row]

    @functools.cached_property
    def by_flag(self) -> Mapping[str, tuple[Row, bool]]:
        """Flag -> its option, and whether it switches on (or takes a value)."""
        on = {flag: (row, True) for row in self.rows for flag in row.flags}
        return {flag: (row, False) for row in self.rows for flag in row.off} | on

    def has(self, version: Version | None) -> bool:
        """Whether exactly this version was read."""
        return version in self.versions

    def default(self, row: Row, version: Version | None) -> Any:
        """The default in ``version``: of the newest that was read and isn't newer; :data:`OPEN` where none tells."""
        if version is None:
            values = [row.defaults.get(one, OPEN) for one in self.versions]
            return values[0] if all(value == values[0] for value in values) else OPEN
        read = [one for one in self.versions if one <= version]
        return row.defaults.get(read[-1], OPEN) if read else OPEN


def parse_version(text: str) -> Version | None:
    """The version that an image tag begins with: ``v0.10.1.post1-cu128`` is 0.10.1; ``None`` where it names none."""
    match = re.match(r"v?(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?(?!\w*/)", text)
    return tuple(int(part or 0) for part in match.groups()) if match else None


@functools.cache
def table(engine: str) -> Table:
    """The table of one engine; an empty one where there is none."""
    file = resources.files(__package__) / f"{engine}.options.json"
    if not file.is_file():
        return Table((), (), {})
    data = json.loads(file.read_text(encoding="utf-8"))
    versions = {text: parse_version(text) or () for text in data["versions"]}
    rows = tuple(_row(flag.lstrip("-"), row, versions) for flag, row in data["options"].items())
    return Table(
        tuple(versions.values()), rows, {name: _row(name, row, versions) for name, row in data["variables"].items()}
    )


def _row(name: str, data: Mapping[str, Any], versions: Mapping[str, Version]) -> Row:
    present = tuple(data.get("in", versions))
    defaults = data.get("defaults", dict.fromkeys(present, data["default"]) if "default" in data else {})
    return Row(
        name=name,
        flags=(name, *(flag.lstrip("-") for flag in data.get("also", ()))),
        off=tuple(flag.lstrip("-") for flag in data.get("off", ())),
        takes=data.get("takes", "one"),
        versions=tuple(versions[one] for one in present),
        defaults={versions[one]: value for one, value in defaults.items()},
    )
