"""Where a live object differs from the rendered one, by field.

What the API server and controllers add is no difference: keys that aren't rendered, and in a pod's template entries of
lists with names that aren't (a mesh's sidecar). A list of anything else is compared entry by entry.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from routegen.common.quantities import amount

LONGEST: Final = 60
"""Characters of a value in a sentence."""
_QUANTITY: Final = re.compile(r"[0-9]+(\.[0-9]+)?(m|[kMGT]|[KMGT]i)?")
_ADDED_TO: Final = ("Deployment",)
"""Kinds whose named lists others may add to."""
_ABSENT: Final = object()


def differences(rendered: Mapping[str, Any], live: Mapping[str, Any]) -> Iterator[str]:
    """Sentences such as ``spec.failOpen is true, rendered is false``."""
    added_to = rendered["kind"] in _ADDED_TO
    for key in (key for key in rendered if key not in {"apiVersion", "kind", "metadata", "status"}):
        yield from _compare(rendered[key], live.get(key, _ABSENT), key, added_to=added_to)
    labels = live["metadata"].get("labels") or {}
    yield from _compare(rendered["metadata"].get("labels", {}), labels, "metadata.labels", added_to=False)


def _compare(wanted: Any, found: Any, path: str, *, added_to: bool) -> Iterator[str]:
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        for key, value in wanted.items():
            yield from _compare(value, found.get(key, _ABSENT), f"{path}.{key}", added_to=added_to)
    elif isinstance(wanted, list) and isinstance(found, list):
        yield from _compare_lists(wanted, found, path, added_to=added_to)
    elif found is _ABSENT:
        if not _empty(wanted):
            yield f"{path} is missing, rendered is {_shown(wanted)}"
    elif not _equal(wanted, found):
        yield f"{path} is {_shown(found)}, rendered is {_shown(wanted)}"


def _compare_lists(wanted: Sequence[Any], found: Sequence[Any], path: str, *, added_to: bool) -> Iterator[str]:
    if added_to and all(isinstance(one, Mapping) and "name" in one for one in wanted):
        by_name = {one.get("name"): one for one in found if isinstance(one, Mapping)}
        for one in wanted:
            yield from _compare(one, by_name.get(one["name"], _ABSENT), f"{path}[{one['name']}]", added_to=True)
        return
    for index, one in enumerate(wanted[: len(found)]):
        yield from _compare(one, found[index], f"{path}[{index}]", added_to=added_to)
    if len(wanted) != len(found):
        yield f"{path} has {len(found)} entries, rendered are {len(wanted)}"


def _equal(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, bool) or isinstance(found, bool):
        return wanted is found
    return bool(wanted == found) or (_number(wanted) is not None and _number(wanted) == _number(found))


def _number(value: Any) -> Decimal | None:
    """A quantity, which the API server writes in its own form; ``None``: it is none."""
    text = str(value) if isinstance(value, int | str) else ""
    return amount(text) if _QUANTITY.fullmatch(text) else None


def _empty(value: Any) -> bool:
    """What the API server leaves out: ``group: ""`` is no group."""
    return value in ("", [], {}, False, None)


def _shown(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
