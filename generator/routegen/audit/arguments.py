"""An engine's command line: which engine it starts, and what it tells it.

All spellings that the engines' own parsers take are read: ``--flag value`` and ``--flag=value``, dashes and
underscores, switches and their opposites, ``--flag.key`` for JSON values. The last one counts, as in ``argparse``.
What stands behind an unknown word is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any

from routegen.audit.engines import EngineKind, Option, kinds
from routegen.audit.shell import Variables, Word

_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_SIZE = re.compile(r"(-?\d{1,15}(?:\.\d{1,6})?)([kmgtKMGT])?")
_UNITS = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


@dataclass(frozen=True, slots=True)
class Given:
    """One option as the command line gives it."""

    value: Any
    source: int
    """Which item of the container's command and args it stands in."""
    unknown: str = ""
    """Why the value can't be told."""


@dataclass(frozen=True)
class CommandLine:
    """What an engine is told."""

    kind: EngineKind | None
    """``None``: no engine that we know is started."""
    given: Mapping[str, Given] = field(default_factory=dict)
    """Option name -> what is said of it."""
    other: Mapping[str, Given] = field(default_factory=dict)
    """What stands there besides: the flag as it is spelled -> its value as text. Nothing is known of these."""
    rest_unknown: str = ""
    """Why options that are not given may be given after all; empty where they certainly aren't."""
    wrapped_by: tuple[str, ...] = ()
    """The words in front of the engine's own command, such as ``numactl``."""
    variables: Variables = field(default_factory=dict)
    """Environment variables that the start script sets."""


def find_engine(words: tuple[Word, ...]) -> tuple[EngineKind, int] | None:
    """The engine whose command stands in ``words``, and the index of the first word behind it."""
    texts = [PurePosixPath(word.text).name if "/" in word.text else word.text for word in words]
    for kind in kinds().values():
        for command in kind.commands:
            for index in range(len(texts) - len(command) + 1):
                if tuple(texts[index : index + len(command)]) == command:
                    return kind, index + len(command)
    return None


@dataclass(frozen=True, slots=True)
class Parsed:
    """What the words behind an engine's command say; the fields are those of :class:`CommandLine`."""

    given: dict[str, Given] = field(default_factory=dict)
    other: dict[str, Given] = field(default_factory=dict)
    rest_unknown: str = ""


def parse(kind: EngineKind, words: tuple[Word, ...]) -> Parsed:
    """The options in ``words``, those that are not known here, and why there may be more of them."""
    given: dict[str, Given] = {}
    other: dict[str, Given] = {}
    rest_unknown = ""
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        name, equals, text = word.text.lstrip("-").partition("=")
        if word.unknown and not (_is_flag(word.text) and equals):
            rest_unknown = rest_unknown or word.unknown
        elif not _is_flag(word.text):
            if kind.positional and kind.positional not in given:
                given[kind.positional] = Given(word.text, word.source)
            else:
                other[word.text] = Given(True, word.source)
        else:
            name, _, key = name.partition(".")
            name = name.replace("_", "-")
            entry = kind.by_flag.get(name)
            inline = Word(text, word.unknown, word.source) if equals else None
            value, position = _value(entry, inline, words, position)
            if entry is not None:
                given[entry[0].name] = _given(entry[0], entry[1], value, word)
                continue
            if short := _abbreviated(kind, name, word):
                given |= short
            else:
                spelled = f"{_dashes(word.text)}{name}{'.' if key else ''}{key}"
                other[spelled] = Given(value.text if value else True, word.source, value.unknown if value else "")
            if value is not None and value.many:  # whether this flag takes a value is not known here
                rest_unknown = rest_unknown or value.unknown
    return Parsed(given, other, rest_unknown)


def _dashes(text: str) -> str:
    return text[: len(text) - len(text.lstrip("-"))]


def _value(
    entry: tuple[Option, bool | None] | None, inline: Word | None, words: tuple[Word, ...], position: int
) -> tuple[Word | None, int]:
    """The value of a flag (``inline``, or the words from ``position``), and the position behind it."""
    if inline is not None or position == len(words) or _is_flag(words[position].text):
        return inline, position
    value = words[position]
    if entry is not None and entry[1] is not None and value.text.lower() not in _BOOLEANS:
        return None, position  # a switch takes no other value
    position += 1
    while entry is not None and entry[0].type == "list" and position < len(words):
        following = words[position]
        if _is_flag(following.text):
            break
        value = Word(f"{value.text} {following.text}", value.unknown or following.unknown, value.source)
        position += 1
    return value, position


def _is_flag(text: str) -> bool:
    return text.startswith("-") and len(text) > 1 and not re.fullmatch(r"-\d.*", text)


def _abbreviated(kind: EngineKind, name: str, word: Word) -> dict[str, Given]:
    """Options that ``name`` may be short for: argparse takes any unambiguous beginning."""
    if not word.text.startswith("--") or len(name) < len("tp"):
        return {}
    candidates = {flag: option for flag, (option, _) in kind.by_flag.items() if flag.startswith(name)}
    note = f"{word.text} may be short for --{min(candidates, default='')}; write it out"
    return {option.name: Given(None, word.source, note) for option in candidates.values()}


def _given(option: Option, switch: bool | None, value: Word | None, flag: Word) -> Given:
    source = flag.source if value is None else value.source
    if value is not None and value.unknown:
        return Given(None, source, value.unknown)
    if option.type == "presence":
        return Given(True, source)
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
