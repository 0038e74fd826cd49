"""What a pod is asked through the API server, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Question:
    """A GET of one port of a pod's. It needs the right to ``get`` on ``pods/proxy``."""

    namespace: str
    pod: str
    port: int
    path: str
    instead: str
    """How a person finds out what it would have told, where it can't be asked: a sentence."""
    scheme: str = "http"
    """Or ``https``, of which the API server verifies nothing."""
    host: str = ""
    """The host to ask for; empty: whatever the connection says."""

    @property
    def place(self) -> str:
        """What is asked, for a sentence."""
        return f"{self.path} of {self.namespace}/{self.pod}, port {self.port}"


@dataclass(frozen=True, slots=True)
class Answer:
    """Of the pod itself, whatever its status."""

    status: int
    body: bytes


Answers = Mapping[Question, Answer]
"""Of those questions that were answered."""
