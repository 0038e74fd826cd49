"""The engines that the audit can read.

What their options mean for a comparison is in the .toml files here, by hand; which options and defaults each version
has in the .options.json files, from the engines' own sources.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import resources
from typing import Any, Final, Literal

from routegen.audit.engines.tables import OPEN, Row, Table, Takes, Version, parse_version, table

__all__ = ["NAMES", "Default", "EngineKind", "Flag", "Option", "Version", "kinds", "others", "parse_version"]

NAMES: Final = ("vllm", "sglang", "trtllm")
"""Each has ``<name>.toml`` beside this file."""


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
    short: tuple[str, ...]
    on: tuple[str, ...]
    off: tuple[str, ...]
    type: str
    """``str``, ``list`` (of words), ``size`` (a whole number, ``32k`` allowed), ``float``, ``presence`` (given at all?)
    or ``bool``."""
    same: Mapping[str, str]
    """Spellings of one value, so that two engines' words can be compared."""
    open: Mapping[str, str]
    """Words that leave the choice open, and what it then depends on."""
    words: Mapping[str, Mapping[str, bool]]
    """Other flags (and keys of JSON flags) that decide it too: name -> value -> what it means."""
    details: tuple[str, ...]
    """Flags (shell patterns) that say how it is done: they matter where both engines do it."""
    partly: Literal["", "any", "same"]
    """Rules read it, but not whether it differs: "same" is for two engines of one kind only."""
    defaults: tuple[Default, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All its flags, without dashes."""
        return (*self.flags, *self.short, *self.on, *self.off)

    @property
    def spelling(self) -> str:
        """The flag to name to people."""
        return "--" + (*self.flags, *self.on, *self.off, self.name.replace("_", "-"))[0]

    def default(self, version: Version | None) -> Default | None:
        """What holds for ``version``; ``None`` where that can't be told (version unknown, and it matters)."""
        if len(self.defaults) == 1 and not self.defaults[0].since and not self.defaults[0].before:
            return self.defaults[0]
        found = [default for default in self.defaults if version is not None and default.holds(version)]
        return found[0] if found else None


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag of an engine's command line."""

    spelled: str
    """Its option's first flag, with dashes: how two spellings of one option are known to be one."""
    option: str
    """The option of the .toml that it tells; empty where no rule reads it."""
    switch: bool | None
    """What it switches to; ``None`` where it takes a value."""
    takes: Takes
    row: Row | None
    """``None`` for spellings that no version in the table has."""


@dataclass(frozen=True)
class EngineKind:
    """What is known about one engine."""

    name: str
    title: str
    owned_by: str
    images: tuple[str, ...]
    """Last names of its own images, whose tags are its versions; shell patterns."""
    foreign: tuple[str, ...]
    """Images of such a name whose tags are versions of something else: last two names, as shell patterns."""
    entrypoint_images: tuple[str, ...]
    commands: tuple[tuple[str, ...], ...]
    positional: str
    """The option that a bare word behind the command means; empty: none."""
    port: int
    options: Mapping[str, Option]
    table: Table
    by_flag: Mapping[str, Flag]
    """Flag without dashes -> what it is, in all versions."""
    irrelevant: Mapping[str, Sequence[str]]
    """Why two engines may differ in them -> flags without dashes, as shell patterns."""
    letters: Mapping[str, str]
    """Letters whose value may follow without a space (``-O3``) -> the flag that they mean."""
    decided: Mapping[str, Any]
    """Flag -> the default that the parser leaves open and the engine then chooses."""

    def spelled(self, head: str) -> tuple[str, str]:
        """The name of a flag without dashes, underscores read as dashes, and the key behind its first dot."""
        name, _, key = head.lstrip("-").partition(".")
        name = name.replace("_", "-")
        return self.letters.get(name, name), key

    def joined(self, head: str) -> tuple[str, str] | None:
        """A letter's flag and the value that is joined to it."""
        flag = self.letters.get(head[1:2]) if not head.startswith("--") else None
        return (flag, head[2:]) if flag and head[2:] and not head[2:].startswith(".") else None

    def find(self, name: str, version: Version | None, *, long: bool) -> Flag | tuple[Flag, ...] | None:
        """The flag called ``name``; those that it may be short for (``long`` ones only); ``None`` if there is none.

        In a version that the table has it is what that version's parser makes of it. Else an abbreviation is never
        taken for certain, because other versions have other flags.
        """
        exact = self.by_flag.get(name)
        here = self._flags_in(version) if self.table.has(version) and version is not None else self.by_flag.keys()
        if name in here or not long or len(name) < len("tp"):
            return exact
        candidates = {self.by_flag[flag].spelled: self.by_flag[flag] for flag in here if flag.startswith(name)}
        if len(candidates) == 1 and here is not self.by_flag.keys() and self.table.has(version):
            return next(iter(candidates.values()))
        return tuple(candidates.values()) or exact

    def meant(self, name: str, value: Any) -> tuple[str, bool] | None:
        """The option that this value of another flag (or of a key of it) decides, and how."""
        for option in self.options.values():
            for word, meaning in option.words.get(name.lstrip("-"), {}).items():
                if word.casefold() == str(value).casefold():
                    return option.name, meaning
        return None

    def default(self, name: str, version: Version | None) -> Default | None:
        """What holds for an option that is not given; ``None`` where that can't be told."""
        option = self.options[name]
        by_hand = option.default(version)
        if option.type == "presence" or (by_hand is not None and by_hand.depends) or version is None:
            return by_hand
        row = next((row for flag in option.names if (row := self.by_flag[flag].row) is not None), None)
        value = OPEN if row is None else self.table.default(row, version)
        if row is None or value is OPEN or value in (None, ""):
            return by_hand
        if (switch := self.by_flag[row.name].switch) is not None:
            return Default(bool(value) == switch)
        return Default(option.same.get(value, value) if isinstance(value, str) else value)

    def detail_of(self, name: str) -> str:
        """The option that a flag is a detail of; empty where it stands for itself."""
        found = (one.name for one in self.options.values() if any(fnmatchcase(name, part) for part in one.details))
        return next(found, "")

    def is_irrelevant(self, name: str) -> bool:
        """Whether two engines may differ in the flag ``name`` (or in a key of it)."""
        flag = self.by_flag.get(name.partition(".")[0])
        names = (name.partition(".")[0], *(flag.row.flags if flag is not None and flag.row is not None else ()))
        return any(fnmatchcase(one, part) for one in names for parts in self.irrelevant.values() for part in parts)

    def is_default(self, flag: Flag, value: Any, version: Version | None) -> bool:
        """Whether an option is set to what it would be anyway."""
        default = self.decided.get(flag.spelled.lstrip("-"))
        if default is None and flag.row is not None:
            default = self.table.default(flag.row, version)
        return default is not OPEN and default is not None and _same(default, value)

    def is_usual(self, variable: str, text: str, version: Version | None) -> bool:
        """Whether an environment variable is set to what the engine takes where it isn't set."""
        row = self.table.variables.get(variable)
        default = OPEN if row is None else self.table.default(row, version)
        if isinstance(default, bool):
            return text.strip().lower() in ({"1", "true"} if default else {"0", "false", ""})
        return default is not OPEN and default is not None and _same(default, text)

    def _flags_in(self, version: Version) -> frozenset[str]:
        rows = [row for row in self.table.rows if version in row.versions]
        return frozenset(flag for row in rows for flag in (*row.flags, *row.off))


def _same(default: Any, value: Any) -> bool:
    """Whether what a command line says is a default as the table has it."""
    if isinstance(default, bool) or isinstance(value, bool):
        return str(default).lower() == str(value).lower()
    try:
        return float(default) == float(value)
    except (TypeError, ValueError):
        return str(default) == str(value)


@functools.cache
def kinds() -> Mapping[str, EngineKind]:
    """Every engine, by name."""
    files = resources.files(__package__)
    return {name: _kind(name, tomllib.loads((files / f"{name}.toml").read_text(encoding="utf-8"))) for name in NAMES}


def _kind(name: str, data: Mapping[str, Any]) -> EngineKind:
    options = {key: _option(key, value) for key, value in data["options"].items()}
    known = table(name)
    return EngineKind(
        name=name,
        title=data["title"],
        owned_by=data["owned_by"],
        images=tuple(data["images"]),
        foreign=tuple(data.get("foreign", ())),
        entrypoint_images=tuple(data["entrypoint_images"]),
        commands=tuple(tuple(command) for command in data["commands"]),
        positional=data["positional"],
        port=data["port"],
        options=options,
        table=known,
        by_flag=_flags(options, known),
        irrelevant=data["irrelevant"],
        letters=data.get("letters", {}),
        decided=data.get("decided", {}),
    )


@functools.cache
def others() -> Mapping[str, Sequence[str]]:
    """What runs beside engines, often on their images: what it is -> programs, as shell patterns."""
    return tomllib.loads((resources.files(__package__) / "others.toml").read_text(encoding="utf-8"))


def _flags(options: Mapping[str, Option], known: Table) -> dict[str, Flag]:
    """Every flag of every version, and those that only the .toml knows (of older versions)."""
    of = {flag: option for option in options.values() for flag in option.names}
    flags = {}
    for row in known.rows:
        named = [flag for flag in (*row.flags, *row.off) if flag in of]
        option = of[named[0]] if named else None
        turned = option is not None and (named[0] in option.off) == (named[0] in row.flags)
        for flag in (*row.flags, *row.off):
            switch = (flag in row.flags) != turned if row.takes == "none" else None
            flags[flag] = Flag(f"--{row.name}", option.name if option else "", switch, row.takes, row)
    for flag, option in of.items():
        switch = None if flag in (*option.flags, *option.short) else flag in option.on
        takes: Takes = "none" if switch is not None else "many" if option.type == "list" else "one"
        flags.setdefault(flag, Flag(f"--{flag}", option.name, switch, takes, None))
    return flags


def _option(name: str, data: Mapping[str, Any]) -> Option:
    flags, short, on, off = (tuple(data.get(key, ())) for key in ("flags", "short", "on", "off"))
    return Option(
        name=name,
        flags=flags,
        short=short,
        on=on,
        off=off,
        type=data.get("type", "str" if flags else "bool"),
        same=data.get("same", {}),
        open=data.get("open", {}),
        words=data.get("words", {}),
        details=tuple(data.get("details", ())),
        partly=data.get("partly", ""),
        defaults=tuple(_default(entry) for entry in data["default"]),
    )


def _default(entry: Mapping[str, Any]) -> Default:
    return Default(entry.get("value"), entry.get("depends", ""), _bound(entry.get("from")), _bound(entry.get("before")))


def _bound(text: str | None) -> Version:
    parts: Sequence[str] = text.split(".") if text else ()
    return tuple(int(part) for part in parts)
