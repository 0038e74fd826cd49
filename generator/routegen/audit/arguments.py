"""An engine's command line: which engine it starts, and what it tells it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath

from routegen.audit.engines import EngineKind, kinds
from routegen.audit.options import Parsed
from routegen.audit.shell import Variables, Word


@dataclass(frozen=True)
class CommandLine:
    """What an engine is told."""

    kind: EngineKind | None
    """``None``: no engine that we know is started."""
    told: Parsed = field(default_factory=Parsed)
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
