"""Errors for people: what is wrong, where, and what would be right."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

INTERRUPTED: Final = 130
"""Exit code after Ctrl-C, as shells have it (128 and the signal's number), since 1 is an answer of several verbs."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong with an input file."""

    file: str
    line: int
    """From 1; 0 where no line is to blame."""
    path: str
    """Such as ``$.spec.rules[2].split``; empty where no path applies."""
    message: str
    """What is wrong and what would be right, in one sentence."""

    def __str__(self) -> str:
        """As users see it: ``routes.yaml:12 $.spec.rules[2].split: unknown name "gold"; known: sglang, vllm``."""
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where} {self.path}: {self.message}" if self.path else f"{where}: {self.message}"


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about one place of a routes.yaml, from somebody who doesn't know the file: its reader adds the line."""

    path: tuple[str | int, ...]
    """Keys and list indices, such as ``("spec", "backends", "vllm")``."""
    message: str
    refused: bool = False
    """True: it can't be rendered; else it is only worth knowing."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is wrong in a cluster."""

    what: str
    """What is wrong, as the end of a sentence about the object."""
    remedy: str
    """What to do, in one sentence."""


class InputError(Exception):
    """Input that can't be used; carries every problem that was found, in the file's order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(map(str, self.problems)))


class UserError(Exception):
    """Something other than the input stands in the way (a missing binary, a busy port); says what to do."""


def sentences(error: InputError | UserError) -> str:
    """What a person reads on stderr: a line a problem, which names its file; else one that names the program."""
    return str(error) if isinstance(error, InputError) else f"routegen: {error}"
