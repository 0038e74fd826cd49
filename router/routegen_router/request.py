"""What a request says, as far as rules may ask, and where in it a value is found."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

import msgspec

Bytes = bytes | bytearray | memoryview
"""A body, or a piece of one."""

FieldPath = tuple[str, ...]
"""Object keys from the top of the body, such as ``("metadata", "engine")``."""

_SEPARATOR: Final = re.compile("%(2f|5c)", re.IGNORECASE)
MODEL: Final[FieldPath] = ("model",)
"""The field that names the request's model."""


Measure = tuple[FieldPath, Literal["present", "items", "characters"]]
"""Something about a field, whatever it holds: that it is there (1), its number of items or members, its characters."""


BEGINNING: Final[FieldPath] = ()
"""Among a body's values: how its conversation begins (:mod:`~routegen_router.beginning`)."""


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where in a request a value is found: exactly one of these is set."""

    body: FieldPath | None = None
    header: str | None = None
    """Lower case."""
    query: str | msgspec.UnsetType = msgspec.UNSET
    """A parameter of the query."""
    prefix: Literal[True] | msgspec.UnsetType = msgspec.UNSET
    """The beginning of the conversation: a digest of it."""

    @property
    def kind(self) -> Literal["body", "header", "query", "prefix"]:
        """Which of them, as routes.yaml calls it."""
        if self.prefix:
            return "prefix"
        return "body" if self.body is not None else "header" if self.header is not None else "query"

    def __str__(self) -> str:
        """As routes.yaml spells it: ``body: metadata.engine``, ``header: x-engine`` or ``query: engine``."""
        return f"{self.kind}: {self.param or 'true'}"

    @property
    def told(self) -> str:
        """As a client is told: ``metadata.engine``, ``the header x-engine`` or ``the query's engine``."""
        return {"header": f"the header {self.param}", "query": f"the query's {self.param}"}.get(self.kind, self.param)

    @property
    def param(self) -> str:
        """The ``param`` of an error: the body's dotted field, or the name of the header or parameter."""
        return ".".join(self.body) if self.body is not None else self.header or self.query or ""


class Opened(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Requests of one method to a path, or to all paths below one."""

    path: str
    """Exact, or a prefix where it ends in ``/*``."""
    method: str

    @property
    def prefix(self) -> str | None:
        """What its paths begin with, without a slash at the end: empty for all paths; ``None`` where it is exact."""
        return self.path.removesuffix("/*") if self.path.endswith("/*") else None

    def takes(self, path: str) -> bool:
        """Whether it opens ``path``, which has no query; a prefix also opens the path that it is itself.

        Below a prefix it opens none with an encoded slash or backslash: these stay as they are in paths, and an engine
        that decodes them would leave the prefix.
        """
        if self.prefix is None:
            return path == self.path
        return f"{path}/".startswith(f"{self.prefix}/") and _SEPARATOR.search(path) is None

    def meets(self, other: Opened) -> bool:
        """Whether some request is of both."""
        one, two = (self.path if self.prefix is None else self.prefix for self in (self, other))
        return self.method == other.method and (self.takes(two) or other.takes(one))


class Facts(msgspec.Struct, frozen=True):
    """What one request says."""

    path: str
    model: str | None
    fields: Mapping[FieldPath, str]
    """Values of the body's fields that rules name; absent ones (JSON ``null`` too) are missing here."""
    headers: Mapping[str, str]
    """Names in lower case."""
    size: int = 0
    """The body's length in bytes."""
    sizes: Mapping[Measure, int] = msgspec.field(default_factory=dict)
    """What conditions have measured; what is absent has no measures."""
    queries: Mapping[str, str] = msgspec.field(default_factory=dict)
    """The query's parameters that rules name."""
    unread: bool = False
    """Whether the engine is chosen by headers and query alone, and the body, if any, isn't read."""

    def read(self, source: Source) -> str | None:
        """The value there; ``None`` where it is absent."""
        if source.header is not None:
            return self.headers.get(source.header)
        if source.prefix:
            return self.fields.get(BEGINNING)
        if source.body is not None:
            return self.fields.get(source.body)
        return self.queries.get(source.query) if source.query else None
