"""Which sources a run has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from routegen.bench.design import Run
from routegen.bench.records import Clock
from routegen.cluster import Cluster

from .engines import EngineFigures, UnknownEngine
from .gpus import Gpus
from .pods import NoPods, Pods
from .process import ClientProcess
from .sampler import Sampler, Source


class Beside(Protocol):
    """Something that goes on beside the measuring process."""

    def __call__(self, pid: int) -> AbstractContextManager[object]:
        """Begin, for the measuring process ``pid``; it ends with the context."""


def cluster(watched: Sequence[str], context: str | None) -> Source:
    """The pods that ``--pods`` names, and the nodes; connects at once, so that it can fail before a run begins.

    :raises UserError: some are named and the cluster can't be reached.
    """
    return Pods(Cluster(context), watched) if watched else NoPods()


def sampling(folder: Path, run: Run, pods: Source) -> Beside:
    """Sample every source of ``run`` while its measuring process works.

    :param pods: from :func:`cluster`.
    """
    shared = [*_engines(run), pods, Gpus()]

    def begin(pid: int) -> Sampler:
        return Sampler(folder, Clock(run.started_at), [*shared, ClientProcess(pid)])

    return begin


def _engines(run: Run) -> Iterator[Source]:
    addresses = {arm.engine: arm.engine_url for arm in run.arms}
    addresses |= {arm.engine: arm.engine_url for arm in run.arms if arm.engine_url is not None}
    for engine, url in addresses.items():
        yield UnknownEngine(engine) if url is None else EngineFigures(engine, url)
