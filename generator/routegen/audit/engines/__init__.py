"""The engines that the audit can read: their flags and their defaults by version, as data (the .toml files here)."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

NAMES: Final = ("vllm", "sglang")
"""Each has ``<name>.toml`` beside this file."""

Version = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Default:
    """What happens where the command line says nothing, for a range of versions."""

    value: Any = None
    depends: str = ""
    """What the value depends on, where the command line alone doesn't tell it."""
    since: Version = ()
    before: Version = ()

    def holds(self, version: Version) -> bool:
        """Whether ``version`` is in its range."""
        return self.since <= version and (not self.before or version < self.before)


@dataclass(frozen=True, slots=True)
class Option:
    """One thing that an engine can be told, in all its spellings."""

    name: str
    flags: tuple[str, ...]
    on: tuple[str, ...]
    off: tuple[str, ...]
    type: str
    """``str``, ``list`` (of words), ``size`` (a whole number, ``32k`` allowed), ``float``, ``presence`` (given at all?)
    or ``bool``."""
    same: Mapping[str, str]
    """Spellings of one value, so that two engines' words can be compared."""
    open: Mapping[str, str]
    """Words that leave the choice open, and what it then depends on."""
    defaults: tuple[Default, ...]

    @property
    def spelling(self) -> str:
        """The flag to name to people."""
        return "--" + (*self.flags, *self.on, *self.off)[0]

    def default(self, version: Version | None) -> Default | None:
        """What holds for ``version``; ``None`` where that can't be told (version unknown, and it matters)."""
        if len(self.defaults) == 1 and not self.defaults[0].since and not self.defaults[0].before:
            return self.defaults[0]
        found = [default for default in self.defaults if version is not None and default.holds(version)]
        return found[0] if found else None


@dataclass(frozen=True, slots=True)
class EngineKind:
    """What is known about one engine."""

    name: str
    title: str
    owned_by: str
    images: tuple[str, ...]
    entrypoint_images: tuple[str, ...]
    commands: tuple[tuple[str, ...], ...]
    positional: str
    """The option that a bare word behind the command means; empty: none."""
    port: int
    options: Mapping[str, Option]
    by_flag: Mapping[str, tuple[Option, bool | None]]
    """Flag without dashes -> its option, and for a switch what it switches to."""
    irrelevant: Mapping[str, str]
    """Flag without dashes -> why two engines may differ in it."""


@functools.cache
def kinds() -> Mapping[str, EngineKind]:
    """Every engine, by name."""
    files = resources.files(__package__)
    return {name: _kind(name, tomllib.loads((files / f"{name}.toml").read_text(encoding="utf-8"))) for name in NAMES}


def parse_version(text: str) -> Version | None:
    """The version that an image tag begins with: ``v0.10.1.post1-cu128`` is 0.10.1; ``None`` where it names none."""
    match = re.match(r"v?(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?(?!\w*/)", text)
    return tuple(int(part or 0) for part in match.groups()) if match else None


def _kind(name: str, data: Mapping[str, Any]) -> EngineKind:
    options = {key: _option(key, value) for key, value in data["options"].items()}
    by_flag: dict[str, tuple[Option, bool | None]] = {}
    for key, option in options.items():
        by_flag |= dict.fromkeys((*option.flags, *data["options"][key].get("short", ())), (option, None))
        by_flag |= dict.fromkeys(option.on, (option, True))
        by_flag |= dict.fromkeys(option.off, (option, False))
    return EngineKind(
        name=name,
        title=data["title"],
        owned_by=data["owned_by"],
        images=tuple(data["images"]),
        entrypoint_images=tuple(data["entrypoint_images"]),
        commands=tuple(tuple(command) for command in data["commands"]),
        positional=data["positional"],
        port=data["port"],
        options=options,
        by_flag=by_flag,
        irrelevant={flag: reason for reason, flags in data["irrelevant"].items() for flag in flags},
    )


def _option(name: str, data: Mapping[str, Any]) -> Option:
    flags, on, off = (tuple(data.get(key, ())) for key in ("flags", "on", "off"))
    return Option(
        name=name,
        flags=flags,
        on=on,
        off=off,
        type=data.get("type", "str" if flags else "bool"),
        same=data.get("same", {}),
        open=data.get("open", {}),
        defaults=tuple(_default(entry) for entry in data["default"]),
    )


def _default(entry: Mapping[str, Any]) -> Default:
    return Default(entry.get("value"), entry.get("depends", ""), _bound(entry.get("from")), _bound(entry.get("before")))


def _bound(text: str | None) -> Version:
    parts: Sequence[str] = text.split(".") if text else ()
    return tuple(int(part) for part in parts)
