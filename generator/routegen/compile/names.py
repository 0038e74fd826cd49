"""The names that rules may use, and what is said of those that they may not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from routegen.common.positions import Document, Path, lies_below, render_path
from routegen.common.problems import Problem, Remark
from routegen.common.words import choices, did_you_mean


@dataclass(frozen=True, slots=True)
class Names:
    """Which backends each name stands for: a backend's own name, or an owner's."""

    backends: tuple[str, ...]
    bearing: Mapping[str, tuple[str, ...]]
    claimed: Mapping[str, tuple[str, ...]]
    """A backend's name -> the other backends whose owner it is, which is a mistake: it goes on to mean one backend."""
    complete: bool
    """False: the file has a backend that can't be told from another, so a name may be its."""

    @classmethod
    def of(cls, document: Document) -> Names:
        """The names that a file gives.

        Taken from the file itself, so that a backend which can't be read for another reason still counts as known.
        """
        entries: Any = document.value.get("spec", {}).get("backends", {})
        owned: dict[str, list[str]] = {}
        for name, entry in entries.items():
            for key, owner in entry.items() if isinstance(entry, dict) else ():
                if _is_owner(key) and isinstance(owner, str) and name not in owned.setdefault(owner, []):
                    owned[owner].append(name)
        bearing: dict[str, tuple[str, ...]] = {name: (name,) for name in entries}
        bearing |= {owner: tuple(bearers) for owner, bearers in owned.items() if owner not in entries}
        claimed = {name: tuple(one for one in owned.get(name, ()) if one != name) for name in entries}
        return cls(tuple(entries), bearing, claimed, ("spec", "backends") not in document.partial)


def _is_owner(key: str) -> bool:
    """Whether it is the key ``ownedBy``, be it misspelt as in other formats: ``owned_by``, ``ownedby``."""
    return key.replace("_", "").replace("-", "").lower() == "ownedby"


class Findings:
    """Collects the problems of one document."""

    def __init__(self, document: Document, names: Names, unreadable: Iterable[Problem]) -> None:
        self.names = names
        self.problems = list(unreadable)
        self.notices: list[Problem] = []
        """What is no mistake and worth knowing."""
        self._document = document
        self._unreadable = tuple(problem.path for problem in self.problems)

    def add(self, path: Path, message: str) -> None:
        """Note a problem; not where a part of ``path`` can't be read, which would be its cause."""
        problem = self._document.problem(path, message)
        if not any(lies_below(other, problem.path) for other in self._unreadable):
            self.problems.append(problem)

    def remark(self, remark: Remark) -> None:
        """Note what somebody said of one place: as a problem, or as a notice."""
        if remark.refused:
            self.add(remark.path, remark.message)
        else:
            line = self._document.lines.get(remark.path, 0)  # about a default there is no line to show
            self.notices.append(Problem(self._document.file, line, render_path(remark.path), f"note: {remark.message}"))

    def note_all(self, pattern: Path, message: str) -> None:
        """Note every place of the file that ``pattern`` fits; ``*`` in it is any key."""
        for path in self._document.lines:
            if len(path) == len(pattern) and all(want in ("*", got) for want, got in zip(pattern, path, strict=True)):
                self.remark(Remark(path, message))

    def no_twins(self, path: Path, values: Sequence[str]) -> None:
        """Note entries of a list that stand there twice."""
        for index, value in enumerate(values):
            if value in values[:index]:
                self.add((*path, index), f'"{value}" stands here twice')

    def name(self, path: Path, name: str) -> None:
        """Note a name that no backend bears."""
        if self.names.complete and name not in self.names.bearing:
            self.add(path, f'unknown name "{name}"; {choices(name, sorted(self.names.bearing))}')

    def one_backend(self, path: Path, name: str) -> None:
        """Note what is not exactly one backend's own name."""
        if name in self.names.backends or not self.names.complete:
            return
        kind = "is an owner, not a backend" if name in self.names.bearing else "is not a backend"
        hint = did_you_mean(name, self.names.backends)
        self.add(path, f'"{name}" {kind}; {hint}backends: {", ".join(sorted(self.names.backends))}')
