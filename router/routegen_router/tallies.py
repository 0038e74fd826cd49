"""What was counted, as plain data, and the sum over several processes: Prometheus' families without its classes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric

Key = tuple[str, tuple[tuple[str, str], ...]]
"""A sample's name, and its labels with their values."""

LEAST: Final = frozenset({"process_start_time_seconds", "process_max_fds"})
"""Of these the smallest value is told in place of the sum."""


class Family(msgspec.Struct, frozen=True):
    """A metric with all its samples."""

    name: str
    kind: str
    """``counter``, ``gauge``, ``histogram``."""
    documentation: str
    samples: tuple[tuple[Key, float], ...]


def read(registry: CollectorRegistry) -> list[Family]:
    """All that is counted there now."""
    return [
        Family(
            metric.name,
            metric.type,
            metric.documentation,
            tuple(((one.name, tuple(one.labels.items())), float(one.value)) for one in metric.samples),
        )
        for metric in registry.collect()
    ]


def together(parts: Iterable[Iterable[Family]]) -> list[Family]:
    """The sum of what several processes have counted."""
    found: dict[str, tuple[Family, dict[Key, float]]] = {}
    for families in parts:
        for family in families:
            _, sums = found.setdefault(family.name, (family, {}))
            for key, value in family.samples:
                if key not in sums:
                    sums[key] = value
                else:
                    sums[key] = min(sums[key], value) if key[0] in LEAST else sums[key] + value
    return [msgspec.structs.replace(first, samples=tuple(sums.items())) for first, sums in found.values()]


def lasting(families: Iterable[Family]) -> list[Family]:
    """What stays counted when its process has ended: all but gauges, which say how it is now."""
    return [family for family in families if family.kind != "gauge"]


def render(families: Iterable[Family]) -> bytes:
    """The Prometheus text format."""
    return generate_latest(_Collector(families))


class _Collector:
    """What prometheus_client takes for a registry."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """Each as the library's own kind of thing."""
        for family in self._families:
            metric = Metric(family.name, family.documentation, family.kind)
            for (name, labels), value in family.samples:
                metric.add_sample(name, dict(labels), value)
            yield metric
