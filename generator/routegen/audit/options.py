"""The options behind an engine's command, as its own parser reads them.

All spellings that the engines' parsers take are read: ``--flag value`` and ``--flag=value``, dashes and underscores,
switches and their opposites, unambiguous beginnings of flags, JSON and ``--flag.key`` for its keys. The last one
counts, as in ``argparse``. What stands behind an unknown word is unknown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from routegen.audit.engines import EngineKind, Flag, Option, Version
from routegen.audit.shell import Word

_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_SIZE = re.compile(r"(-?\d{1,15}(?:\.\d{1,6})?)([kmgtKMGT])?")
_UNITS = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_DEEPEST = 20


@dataclass(frozen=True, slots=True)
class Given:
    """One option as the command line gives it."""

    value: Any
    source: int
    """Which item of the container's command and args it stands in."""
    unknown: str = ""
    """Why the value can't be told."""
    part_of: str = ""
    """The option that this is a detail of: it matters where both engines have that."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What the words behind an engine's command say."""

    given: Mapping[str, Given] = field(default_factory=dict)
    """Option (of the engine's .toml) -> what is said of it."""
    other: Mapping[str, Given] = field(default_factory=dict)
    """What stands there besides, and no rule reads: the flag (and key) as the parser knows it -> its value as text."""
    refused: tuple[Given, ...] = ()
    """Words with which the engine doesn't start; ``unknown`` says why."""
    rest_unknown: str = ""
    """Why options that are not given may be given after all; empty where they certainly aren't."""


def parse(kind: EngineKind, words: tuple[Word, ...], version: Version | None) -> Parsed:
    """The options in ``words``, as ``version`` of the engine reads them."""
    return _Words(kind, words, version).read()


class _Words:
    """Reads words from left to right."""

    def __init__(self, kind: EngineKind, words: tuple[Word, ...], version: Version | None) -> None:
        self.kind, self.words, self.version = kind, words, version
        self.position = 0
        self.given: dict[str, Given] = {}
        self.other: dict[str, Given] = {}
        self.refused: list[Given] = []
        self.rest_unknown = ""

    def read(self) -> Parsed:
        while self.position < len(self.words):
            word = self.words[self.position]
            self.position += 1
            if word.unknown and not (_is_flag(word.text) and "=" in word.text):
                self.rest_unknown = self.rest_unknown or word.unknown
            elif _is_flag(word.text):
                self._flag(word)
            elif self.kind.positional and self.kind.positional not in self.given:
                self.given[self.kind.positional] = Given(word.text, word.source)
            else:
                self.other[word.text] = Given(True, word.source)
        return Parsed(self.given, self.other, tuple(self.refused), self.rest_unknown)

    def _flag(self, word: Word) -> None:
        head, equals, text = word.text.partition("=")
        name, key = self.kind.spelled(head)
        inline = Word(text, word.unknown, word.source) if equals else None
        joined = self.kind.joined(head)
        if joined is not None and inline is None:  # -O3
            name, inline = joined[0], Word(joined[1], "", word.source)
        found = self.kind.find(name, self.version, long=head.startswith("--"))
        if isinstance(found, tuple):
            self._ambiguous(word, found, self._value(None, inline))
            return
        value = self._value(found, inline)
        source = word.source if value is None else value.source
        option = self.kind.options.get(found.option) if found is not None else None
        if found is not None and option is not None and not key and option.type != "presence":
            self.given[found.option] = _given(option, found.switch, value, word)
            return
        if found is None and value is not None and value.many:  # whether this flag takes a value is not known here
            self.rest_unknown = self.rest_unknown or value.unknown
        spelled = f"{_dashes(head)}{name}" if found is None else found.spelled
        for leaf, given in _leaves(".".join([spelled, key] if key else [spelled]), value, source, found):
            self._set(leaf, given, found, option)

    def _set(self, leaf: str, given: Given, found: Flag | None, option: Option | None) -> None:
        """One value of a flag that is no plain option: a key of a JSON value, a detail, or something unknown."""
        meant = self.kind.meant(leaf, given.value)
        if meant is not None:
            self.given[meant[0]] = Given(meant[1], given.source)
        elif option is not None and found is not None and option.type == "presence":
            if self.kind.is_default(found, given.value, self.version):
                return
            if given.value is False:  # the opposite of a switch
                self.given.pop(option.name, None)
                return
            self.given[option.name] = Given(True, given.source)
            self.other[leaf] = Given(given.value, given.source, given.unknown, part_of=option.name)
        else:
            self.other[leaf] = replace(given, part_of=self.kind.detail_of(leaf.lstrip("-").partition(".")[0]))

    def _ambiguous(self, word: Word, found: tuple[Flag, ...], value: Word | None) -> None:
        """A beginning of several flags: argparse refuses it."""
        names = ", ".join(sorted(flag.spelled for flag in found)[:4])
        several = len({flag.spelled for flag in found}) > 1
        source = word.source if value is None else value.source
        head = word.text.partition("=")[0]
        note = f"{head} is short for several options ({names})" if several else f"{head} may be short for {names}"
        if several and self.kind.table.has(self.version):
            self.refused.append(Given(word.text, word.source, f"{note}, so that {self.kind.title} doesn't start"))
        for flag in found:
            if flag.option:
                self.given[flag.option] = Given(None, source, f"{note}; write it out")
        if not any(flag.option for flag in found):
            self.other[head] = Given(None, source, f"{note}; write it out")

    def _value(self, found: Flag | None, inline: Word | None) -> Word | None:
        """The value of a flag: ``inline``, or the words that follow."""
        if inline is not None or self.position == len(self.words) or _is_flag(self.words[self.position].text):
            return inline
        value = self.words[self.position]
        takes = found.takes if found is not None else "one"
        if takes == "none" and value.text.lower() not in _BOOLEANS:
            return None
        self.position += 1
        while takes == "many" and self.position < len(self.words):
            following = self.words[self.position]
            if _is_flag(following.text):
                break
            value = Word(f"{value.text} {following.text}", value.unknown or following.unknown, value.source, value.many)
            self.position += 1
        return value


def _is_flag(text: str) -> bool:
    return text.startswith("-") and len(text) > 1 and not re.fullmatch(r"-\d.*", text)


def _dashes(text: str) -> str:
    return text[: len(text) - len(text.lstrip("-"))]


def _leaves(name: str, value: Word | None, source: int, found: Flag | None) -> Iterator[tuple[str, Given]]:
    """A flag's value, key by key where it is a JSON object."""
    if value is not None and value.unknown:
        yield name, Given(None, source, value.unknown)
        return
    if found is not None and found.switch is not None:
        stated = _BOOLEANS.get(value.text.lower(), True) if value is not None else True
        yield name, Given(found.switch if stated else not found.switch, source)
        return
    if value is None:
        yield name, Given(True, source)
        return
    for path, leaf in _flat(_json(value.text), ()):
        yield ".".join([name, *path]), Given(leaf, source)


def _json(text: str) -> Any:
    """The object that ``text`` is as JSON; the text itself where it is none."""
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text


def _flat(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict) and value and len(path) < _DEEPEST:
        for key, inner in value.items():
            yield from _flat(inner, (*path, str(key)))
    else:
        yield path, value if isinstance(value, str) else json.dumps(value)


def _given(option: Option, switch: bool | None, value: Word | None, flag: Word) -> Given:
    source = flag.source if value is None else value.source
    if value is not None and value.unknown:
        return Given(None, source, value.unknown)
    if switch is not None:
        stated = _BOOLEANS.get(value.text.lower(), True) if value is not None else True
        return Given(switch if stated else not switch, source)
    if value is None:
        return Given(None, source, f"{flag.text} has no value")
    return _typed(option, value.text, source)


def _typed(option: Option, text: str, source: int) -> Given:
    if option.type == "size":
        match = _SIZE.fullmatch(text.strip())
        if match is None:
            return Given(None, source, f'"{text}" is not a number')
        number = Fraction(match[1]) * _UNITS.get(match[2] or "", 1)
        return Given(int(number), source)
    if option.type == "float":
        try:
            return Given(float(text), source)
        except ValueError:
            return Given(None, source, f'"{text}" is not a number')
    return Given(option.same.get(text, text), source)
