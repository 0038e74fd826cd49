"""One configuration, made ready to decide: what is worked out once, so that no request has to."""

from __future__ import annotations

from typing import Final

from . import stateful
from .body import BodyReader
from .config import Config, Reads, reads
from .models import Snapshot
from .request import MODEL
from .second import Seconds

MODEL_PARAMETER: Final = "model"
"""The query's parameter that names the model, where no body is read."""
_OWN_HEADERS: Final = frozenset({":method", ":path", "content-length", "content-encoding", "content-type"})


class Reading:
    """What is read in a body, and the reader that does."""

    def __init__(self, read: Reads) -> None:
        self.reads, self.reader = read, BodyReader(read)


class Policy:
    """Build it once, when the configuration is loaded."""

    def __init__(self, config: Config) -> None:
        self.config = config
        placed = {path for backend in config.backends for path in backend.strips}
        placed |= {MODEL} if any(backend.renames for backend in config.backends) else set()
        self.reads = reads(config.rules).placing(placed)
        self.changes = {backend.name: (dict(backend.renames), backend.strips) for backend in config.backends}
        """What is done to the bodies that go to each backend: the model's new names, and what is taken out."""
        plain = Reading(self.reads)
        self._readings = {
            path: Reading(self.reads.asking(stateful.FIELDS)) if stateful.PATH in path else plain
            for path in config.paths
        }
        self.wanted: frozenset[str] = self.reads.headers | _OWN_HEADERS
        self.parameters = self.reads.queries | ({MODEL_PARAMETER} if config.by_headers else frozenset())
        self.seconds = Seconds(config)

    def naming(self, model: str, view: Snapshot) -> Snapshot:
        """What is known, as if engines that have another name for ``model`` were down.

        Without a body none can be given it, so only an explicit choice leads there, and is refused.
        """
        others = frozenset(name for name, (renames, _) in self.changes.items() if model in renames)
        return view.as_if_alive(view.alive - others) if others else view

    def reading(self, path: str) -> Reading:
        """How bodies of requests to ``path`` are read, which is one of the configured paths."""
        return self._readings[path]
