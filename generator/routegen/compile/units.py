"""What the texts of routes.yaml mean: durations, sizes, fields of a body, names that KServe makes."""

from __future__ import annotations

import re
from hashlib import md5
from typing import Final

from routegen_router.request import FieldPath

_SECONDS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_BYTES: Final = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12} | {
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}
_LONGEST_NAME: Final = 63
_MD5_LENGTH: Final = 32


def seconds(text: str) -> float:
    """A duration as Gateway API writes it (GEP-2257): ``1m30s`` is 90.0."""
    parts = re.findall(r"([0-9]+)(ms|h|m|s)", text)
    return round(sum(int(number) * _SECONDS[unit] for number, unit in parts), 3)


def is_size(text: str) -> bool:
    """Whether a Kubernetes quantity is a whole number of bytes: ``1Gi`` is, ``0.5Gi`` and ``100m`` are not."""
    return re.fullmatch(r"[0-9]+(k|[KMGT]i|[MGT])?", text) is not None


def size(text: str) -> int:
    """A size in bytes: ``32Mi`` is 33,554,432, ``1k`` is 1,000."""
    match = re.fullmatch(r"([0-9]+)([A-Za-z]*)", text)
    assert match is not None  # the spec has checked it
    return int(match[1]) * _BYTES[match[2]]


def field_path(text: str) -> FieldPath:
    """A field of the body: ``metadata.engine``, or as JSON Pointer (RFC 6901) ``/metadata/engine``."""
    if text.startswith("/"):
        return tuple(part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/"))
    return tuple(text.split("."))


def child_name(parent: str, suffix: str) -> str:
    """The name of an object that KServe makes for another: both joined, shortened if over 63 characters.

    The rule is ``ChildName`` of knative.dev/pkg/kmeta: what doesn't fit keeps its head, followed by the MD5 of the
    whole parent in hexadecimal digits, then the suffix.
    """
    if len(parent) + len(suffix) <= _LONGEST_NAME:
        return parent + suffix
    digest = md5(parent.encode(), usedforsecurity=False).hexdigest()
    return parent[: _LONGEST_NAME - _MD5_LENGTH - len(suffix)] + digest + suffix
