"""What the API server refuses of the objects that every Kubernetes target renders.

Each rule is one of ``pkg/apis/core/validation`` of Kubernetes; tests/cluster holds them to a real API server.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

from routegen.common.problems import Remark
from routegen.common.quantities import amount
from routegen.emit.kubernetes.objects import Document
from routegen.plan import Plan

_OVERCOMMITTED: Final = ("cpu", "memory", "ephemeral-storage")
"""What a container may request less of than its limit; all other resources are whole things."""
_BYTES: Final = ("memory", "ephemeral-storage")
_DEVICE: Final = re.compile(r"([a-z0-9]([-a-z0-9]*[a-z0-9])?\.)+[a-z0-9]+/[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?")
_MOST_BYTES: Final = 1 << 20
"""Of a ConfigMap's data."""
_MOST_ANNOTATED: Final = 255 << 10
"""All annotations of an object may have 256 KiB together; client-side apply needs one for the whole object."""
_RESOURCES: Final = ("spec", "router", "resources")


def refused(plan: Plan) -> Iterator[Remark]:
    """What is wrong with the router's name and resources."""
    if plan.name[0].isdigit():
        sentence = f'"{plan.name}" must begin with a letter: so must its Service\'s name (Kubernetes up to 1.35)'
        yield Remark(("metadata", "name"), sentence, refused=True)
    amounts = {kind: dict(pairs) for kind, pairs in plan.router.resources}
    for kind, wanted in amounts.items():
        for resource, quantity in wanted.items():
            if why := _wrong(resource, quantity):
                yield Remark((*_RESOURCES, kind, resource), why, refused=True)
    yield from _beyond(amounts.get("requests", {}), amounts.get("limits", {}))


def too_large(document: Document) -> tuple[str, bool] | None:
    """What is to be said of an object's size, and whether nothing can be done; ``None``: it fits."""
    size = len(json.dumps(document))
    name = f"{document['kind']} {document['metadata']['name']}"
    if size > _MOST_BYTES:
        return f"{name} would have {size >> 10} KiB, and the API server takes {_MOST_BYTES >> 10}", True
    if size > _MOST_ANNOTATED:
        holds = f"`kubectl apply` keeps a copy in an annotation, which holds {_MOST_ANNOTATED >> 10}"
        return f"{name} has {size >> 10} KiB, and {holds}: use `kubectl apply --server-side`", False
    return None


def _wrong(resource: str, quantity: str) -> str | None:
    """What the API server has against one resource's name or amount."""
    if resource not in _OVERCOMMITTED and not _DEVICE.fullmatch(resource):
        known = ", ".join(_OVERCOMMITTED)
        return f'"{resource}" is no resource of a container; known: {known}, and devices such as example.com/device'
    if resource.partition("/")[0].endswith("kubernetes.io"):
        return f'"{resource}": names of kubernetes.io are Kubernetes\' own'
    whole = amount(quantity) % 1 == 0
    if resource in _BYTES and not whole:
        meant = f"; did you mean {quantity[:-1]}Mi?" if quantity.endswith("m") else ""
        return f"{quantity} is no whole number of bytes{meant}"
    if resource not in _OVERCOMMITTED and not whole:
        return f"{quantity} must be a whole number"
    return None


def _beyond(requests: Mapping[str, str], limits: Mapping[str, str]) -> Iterator[Remark]:
    """Requests that aren't within their limits."""
    for resource, quantity in requests.items():
        place = (*_RESOURCES, "requests", resource)
        limit = limits.get(resource)
        if _DEVICE.fullmatch(resource):
            if limit is None or amount(limit) != amount(quantity):
                yield Remark(place, f"needs the same limit: limits: {{{resource}: {quantity}}}", refused=True)
        elif resource in _OVERCOMMITTED and limit is not None and amount(quantity) > amount(limit):
            yield Remark(place, f"{quantity} is more than the limit, {limit}", refused=True)
