"""The model registry's knowledge: which backend serves which model, who owns it, whether its engine answers.

Pure: a :class:`Snapshot` is immutable and made anew whenever something was learned. The poller fills it,
:mod:`~routegen_router.decide` and ``GET /v1/models`` read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Protocol

from .backend import Backend
from .cards import Card


def is_glob(text: str) -> bool:
    """Whether ``text`` is a pattern rather than an exact value."""
    return any(char in text for char in "*?[")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one engine's ``GET /v1/models`` said, the last time that it answered well."""

    models: Mapping[str, int]
    """Model id -> its ``created`` time in Unix seconds (0 where the engine gave none)."""
    owner: str | None
    """The ``owned_by`` of the first entry."""
    at: float
    """When, in Unix seconds."""
    cards: Mapping[str, Card] = field(default_factory=dict)
    """Model id -> what else was told of it."""


def offered(answer: Answer, backend: Backend) -> Answer:
    """An engine's answer in the names that clients use: a model that has another name for them has no longer its own.

    It keeps its own as well where the configuration lists that too.
    """
    if not backend.renames:
        return answer
    names: dict[str, list[str]] = {}
    for name, engines in backend.renames:
        names.setdefault(engines, []).append(name)
    kept = frozenset(backend.models) - {name for name, _ in backend.renames}
    told = [
        (name, model)
        for model in answer.models
        for name in (*names.get(model, ()), *([model] if model not in names or model in kept else []))
    ]
    return Answer(
        {name: answer.models[model] for name, model in told},
        answer.owner,
        answer.at,
        {name: answer.cards[model] for name, model in told if model in answer.cards},
    )


@dataclass(frozen=True, slots=True)
class Known:
    """All that is known of one backend at one moment."""

    backend: Backend
    answer: Answer | None = None
    """``None`` until a polled engine has answered once."""
    asked: bool = True
    """False until a polled engine has answered, failed to, or let its time go by."""
    alive: bool = True
    """False while its engine takes no connection, is warming up, or has stopped answering."""

    @property
    def answered(self) -> bool:
        """Whether its list of models is known: it has told them, or isn't polled at all.

        Where it was asked and told nothing, what the configuration lists counts as its list.
        """
        return self.backend.poll is None or self.answer is not None or (self.asked and bool(self.backend.models))

    @property
    def owner_known(self) -> bool:
        """Whether nobody can turn out to be its owner who isn't yet."""
        return self.backend.poll is None or self.answer is not None or self.backend.owner is not None

    @property
    def owner(self) -> str | None:
        """The configured owner, else the polled one."""
        return self.backend.owner or (self.answer.owner if self.answer else None)

    def serves(self, model: str) -> bool:
        """Whether this backend serves ``model``, as far as is known."""
        if self.answer is not None and model in self.answer.models:
            return True
        return any(
            fnmatchcase(model, pattern) if is_glob(pattern) else model == pattern for pattern in self.backend.models
        )

    def ids(self) -> Iterable[str]:
        """The exact model ids it is known to serve, configured ones first."""
        yield from (model for model in self.backend.models if not is_glob(model))
        if self.answer is not None:
            yield from self.answer.models


class Snapshot:
    """What is known of all backends at one moment; never changes."""

    def __init__(self, known: Iterable[Known]) -> None:
        self.known: Mapping[str, Known] = {entry.backend.name: entry for entry in known}
        self.names: tuple[str, ...] = tuple(self.known)
        """All backends, in the configured order."""
        self.complete: bool = all(entry.answered for entry in self.known.values())
        """Whether the models of every backend are known, so that one which nobody serves is served nowhere."""
        self.alive: frozenset[str] = frozenset(name for name, entry in self.known.items() if entry.alive)
        """The backends whose engines answer, or aren't asked."""
        self.owners_complete: bool = all(entry.owner_known for entry in self.known.values())
        """Whether every backend's owner is known, so that a name which nobody bears never will be borne."""
        self._as_if_alive: dict[frozenset[str], Snapshot] = {}
        self._bearing: dict[str, list[str]] = {name: [name] for name in self.known}
        for name, entry in self.known.items():
            if entry.owner and entry.owner not in self.known:  # an own name means one backend, whoever claims it
                self._bearing.setdefault(entry.owner, []).append(name)
        self._serving: dict[str, tuple[str, ...]] = {
            model: self._find(model) for entry in self.known.values() for model in entry.ids()
        }

    @property
    def models(self) -> tuple[str, ...]:
        """The exact ids of all known models, in the backends' order."""
        return tuple(self._serving)

    @property
    def bearable(self) -> tuple[str, ...]:
        """All names that stand for a backend: owners and the backends' own, sorted."""
        return tuple(sorted(self._bearing))

    def serving(self, model: str) -> tuple[str, ...]:
        """The backends that serve ``model``, in the configured order."""
        found = self._serving.get(model)
        return self._find(model) if found is None else found

    def bearing(self, name: str) -> tuple[str, ...]:
        """The backend called ``name``, alone; else those owned by it, in the configured order; none if nobody is."""
        return tuple(self._bearing.get(name, ()))

    def as_if_alive(self, alive: frozenset[str]) -> Snapshot:
        """The same knowledge, with no engines answering but these; made once for each set, of which there are few."""
        other = self._as_if_alive.get(alive)
        if other is None:
            other = self._as_if_alive[alive] = copy(self)
            other.alive = alive
        return other

    def _find(self, model: str) -> tuple[str, ...]:
        return tuple(name for name, entry in self.known.items() if entry.serves(model))


class Knowing(Protocol):
    """What knows of engines: the process that asks them, or one that is told."""

    def view(self) -> Snapshot:
        """What is known now."""
