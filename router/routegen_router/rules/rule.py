"""What every rule is: one class that says what it reads, which names it uses, what it does, and how it is written.

A rule's fields are what routes.yaml may say, resolved. Their types say how they are written there and what is checked:

- :data:`~routegen_router.standing.Name` is a name, so that one which nobody bears is an error;
- :class:`~routegen_router.request.Source` is ``{header: NAME}``, ``{body: FIELD}`` or ``{query: NAME}``; that value is
  read from requests;
- ``tuple[X, ...]`` is a list, ``tuple[tuple[K, V], ...]`` a mapping in the file's order;
- ``str`` is a line of text; ``bool``, ``int``, ``float`` and ``Literal`` are what they are, within ``msgspec.Meta``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from routegen_router.request import Measure, Source
from routegen_router.standing import Outcome, Standing
from routegen_router.when import Condition

Bearing = Mapping[str, Sequence[str]]
"""Every name of a routes.yaml -> the backends that it stands for."""
Place = tuple[str | int, ...]
"""Keys below a rule, such as ``("split", "vllm")``."""


@dataclass(frozen=True, slots=True)
class Key:
    """Says of a field: it is a key of the rule, its name in camelCase."""

    says: str
    """What the reference says of it."""


@dataclass(frozen=True, slots=True)
class Verb:
    """Says of a field: it is written after the rule's verb. A field may have several, for as many verbs."""

    key: str
    """The verb."""
    says: str
    """What the reference says of its value."""
    sentence: str = ""
    """What the reference says of the rule; empty: the first line of the class's docstring."""
    part: Literal["body", "header", "query"] | None = None
    """For a :class:`Source`: only this part of it is written after the verb, as text."""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind"):
    """One step of the chain. A subclass gives its fields and :meth:`choose`, and its ``tag`` for the router's file."""

    name: str
    """Unique in the chain; it is what metrics, logs and ``explain`` show."""
    when: tuple[Condition, ...] = ()
    """All must hold, else the rule passes; the chain sees to that."""

    def choose(self, standing: Standing) -> Outcome:
        """Say what becomes of a request. Must not keep or change anything; it runs in several threads."""
        raise NotImplementedError

    def title(self) -> str:
        """What the rule is called where routes.yaml gives it no name."""
        return str(type(self).__struct_config__.tag)

    def problems(self, bearing: Bearing) -> Iterator[tuple[Place, str]]:
        """What is wrong with the rule that its fields' types can't say: where, and a sentence."""
        del bearing
        return iter(())

    def ends_chain(self, bearing: Bearing) -> bool:
        """Whether no request gets past the rule, conditions aside."""
        del bearing
        return False

    def sources(self) -> tuple[Source, ...]:
        """Every place of a request that :meth:`choose` may read: all that its fields hold."""
        return tuple(_sources([getattr(self, field) for field in self.__struct_fields__ if field != "when"]))

    def measures(self) -> tuple[Measure, ...]:
        """What :meth:`choose` may ask of ``facts.sizes``: none, unless a subclass says so."""
        return ()


def _sources(value: Any) -> Iterator[Source]:
    if isinstance(value, Source):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _sources(part)
