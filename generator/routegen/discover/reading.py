"""Reads a cluster, and goes on where a kind may not be read or isn't there."""

from __future__ import annotations

from typing import Final

from routegen.cluster import Cluster, RefusedError, UnknownKindError
from routegen.common.rbac import Right

from .things import DEPLOYMENT, LLM, POD, POOL, SERVICE, Found, Thing, one_line

VERSIONS: Final = {
    LLM: ("serving.kserve.io/v1alpha2", "serving.kserve.io/v1alpha1"),
    POOL: ("inference.networking.k8s.io/v1",),
    SERVICE: ("v1",),
    POD: ("v1",),
    DEPLOYMENT: ("apps/v1",),
}
"""Kind -> API versions, the newest first."""
CHOOSABLE: Final = (LLM, POOL, SERVICE)
"""What can be a backend, and so what a user's selector is about."""


def rights(namespace: str | None) -> list[Right]:
    """What :func:`read` needs."""
    return [Right(versions[0], kind, namespace) for kind, versions in VERSIONS.items()]


def read(cluster: Cluster, namespace: str | None, selector: str | None) -> Found:
    """Read everything that tells something of engines.

    :param namespace: only this one; ``None``: all of them.
    :param selector: the labels of the LLMInferenceServices, InferencePools and Services to choose.
    """
    things: list[Thing] = []
    chosen: set[tuple[str, str]] = set()
    unread: list[str] = []
    absent: list[str] = []
    for kind in VERSIONS:
        try:
            things += _list(cluster, kind, namespace, None)
            if selector is not None and kind in CHOOSABLE:
                chosen |= {(kind, one.place) for one in _list(cluster, kind, namespace, selector)}
        except UnknownKindError:
            absent.append(kind)
        except RefusedError as error:
            unread.append(f"{kind}s: {one_line(str(error))}")
    return Found(tuple(things), frozenset(chosen) if selector is not None else None, tuple(unread), tuple(absent))


def _list(cluster: Cluster, kind: str, namespace: str | None, selector: str | None) -> list[Thing]:
    """The objects of one kind, by the newest version that the cluster serves.

    :raises UnknownKindError: it serves none.
    :raises RefusedError: they may not be read.
    """
    for version in VERSIONS[kind]:
        try:
            return [Thing(kind, one) for one in cluster.list(version, kind, namespace, selector=selector)]
        except UnknownKindError:
            continue
    raise UnknownKindError(kind)
