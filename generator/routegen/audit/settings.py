"""Which settings of a manifest the rules read, and which may differ without touching a comparison: settings.toml."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from importlib import resources
from typing import Any, Literal

Kind = Literal["variables", "container", "security", "pod", "left", "llminferenceservice"]

_SECRET = re.compile(r"(?i)secret|passw|credential|api.?key|access.?key|private.?key|auth|(?:^|[-_.])(?:key|token)$")
_USER_INFO = re.compile(r"(?<=://)[^/@\s]+@")


def understood(kind: Kind, name: str) -> bool:
    """Whether a rule reads this setting, or it is known to be irrelevant."""
    return any(fnmatchcase(name, pattern) for pattern in _patterns(kind))


def irrelevant(kind: Kind) -> Mapping[str, Sequence[str]]:
    """What may differ: reason -> patterns of names."""
    return _data()[kind]["irrelevant"]  # type: ignore[no-any-return] # TOML


def public(name: str, text: str) -> str:
    """The value of the setting ``name`` as a report may show it: credentials are not shown."""
    return "(not shown)" if _SECRET.search(name) else _USER_INFO.sub("", text)


def redacted(value: Any) -> Any:
    """``value`` without credentials, however deep: by the names of keys, and of items with ``name`` and ``value``."""
    if isinstance(value, Mapping):
        secret = _SECRET.search(str(value.get("name", ""))) is not None
        return {
            key: "(not shown)" if _SECRET.search(str(key)) or (secret and key == "value") else redacted(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [redacted(inner) for inner in value]
    return _USER_INFO.sub("", value) if isinstance(value, str) else value


@functools.cache
def _patterns(kind: Kind) -> tuple[str, ...]:
    return (*_data()[kind]["read"], *(name for names in irrelevant(kind).values() for name in names))


@functools.cache
def _data() -> Mapping[str, Any]:
    return tomllib.loads((resources.files(__package__) / "settings.toml").read_text(encoding="utf-8"))
