"""The evidence of the audit: a fact about one engine, where it stands, and whether two agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands, or would stand."""

    object: str
    """Such as ``Deployment inference/vllm``."""
    file: str
    line: int
    """From 1; 0 where no line is to blame (objects of a live cluster)."""
    path: str
    """Such as ``$.spec.template.spec.containers[0].args[2]``."""

    def __str__(self) -> str:
        """As users see it: ``vllm.yaml:12 $.spec.replicas``."""
        return f"{self.file}:{self.line} {self.path}" if self.line else f"{self.file} {self.path}"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing about one engine: set, left to a default, or not to be told from the input."""

    state: Literal["set", "default", "unknown"]
    value: Any
    """Comparable with the other engine's; ``None`` means "not there" and is a value like any other."""
    place: Place
    note: str = ""
    """Where a default comes from, or why nothing can be told."""
    token: str = ""
    """What an unknown default depends on. Two unknown facts with one token are the same unknown value."""
    text: str = ""
    """How the value is written, where that reads better than the value."""
    whole: bool = False
    """The engine's command or environment as a whole can't be read; one finding says so for all its facts."""

    @property
    def known(self) -> bool:
        """Whether there is a value to reason about."""
        return self.state != "unknown"

    @property
    def shown(self) -> str:
        """For people."""
        if self.state == "unknown":
            return f"cannot tell: {self.note}"
        if self.value is None or isinstance(self.value, bool):
            text = {None: "not set", True: "on", False: "off"}[self.value]
        else:
            text = self.text or str(self.value) or '""'
        return f"{text} ({self.note})" if self.note else text


def compare(first: Fact, second: Fact) -> Literal["same", "different", "unknown"]:
    """Whether two facts agree; "unknown" wherever that can't be told."""
    if first.known and second.known:
        return "same" if first.value == second.value else "different"
    if not first.known and not second.known and first.token and first.token == second.token:
        return "same"
    return "unknown"
