"""Prometheus metrics of a router's process. Labels hold configured names and our own codes, never a client's text."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.utils import floatToGoString

from . import __version__, tallies
from .messages import Answer, Routed
from .poller import Registry
from .tallies import Family

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
BYTES = tuple(4.0**power * 256 for power in range(10))
"""256 bytes to 64 MiB."""


class Decided(NamedTuple):
    """One request's decision."""

    at: float
    """When, in Unix seconds."""
    reply: Routed | Answer
    seconds: float
    """From the last message's arrival until the reply was made."""
    body_bytes: int
    request_id: str
    """Envoy's id of the request; empty where it isn't forwarded."""


class Crew(NamedTuple):
    """The processes that decide."""

    size: int
    """How many there should be."""
    taking: int
    """How many are there."""
    begun_anew: int
    """How often one was begun in place of one that had ended."""


class Metrics:
    """What the router counts, and what is looked up whenever somebody asks."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series beside each counter, of use to nobody here
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._decisions = Counter(
            "routegen_decisions",
            "Requests by what the router did with them: routed, rejected, or answered (the list of models).",
            ["rule", "backend", "outcome"],
            registry=self._registry,
        )
        self._rejections = Counter(
            "routegen_rejections", "Requests that were refused, by error code.", ["code"], registry=self._registry
        )
        self._seconds = _Distribution(
            "routegen_decision_seconds", "From the last message's arrival until the reply is made.", SECONDS
        )
        self._body_bytes = _Distribution("routegen_body_bytes", "Size of the request bodies that were read.", BYTES)
        self._registry.register(self._seconds)
        self._registry.register(self._body_bytes)
        self._failures = Counter(
            "routegen_stream_failures",
            "Streams that ended without a decision because of an error in the router or a confused gateway.",
            registry=self._registry,
        )
        self._abandoned = Counter(
            "routegen_streams_abandoned",
            "Streams that the gateway ended before a decision: the client left, or its body was too large.",
            registry=self._registry,
        )
        self._reloads = Counter(
            "routegen_config_reloads",
            "Changed configuration files, by what became of them: loaded or refused.",
            ["result"],
            registry=self._registry,
        )
        for result in ("loaded", "refused"):
            self._reloads.labels(result)

    def decided(self, batch: Iterable[Decided]) -> None:
        """Count decisions."""
        routed: dict[Routed, int] = {}
        for one in batch:
            if isinstance(one.reply, Routed):
                routed[one.reply] = routed.get(one.reply, 0) + 1
            else:
                self._answered(one.reply)
            self._seconds.observe(one.seconds)
            if one.body_bytes:
                self._body_bytes.observe(one.body_bytes)
        for reply, count in routed.items():
            self._decisions.labels(reply.rule, reply.backend, "routed").inc(count)

    def _answered(self, reply: Answer) -> None:
        outcome = "answered" if reply.code is None else "rejected"
        self._decisions.labels(reply.metadata.get("rule", ""), "", outcome).inc()
        if reply.code is not None:
            self._rejections.labels(reply.code).inc()

    def failed(self) -> None:
        """Count a stream that ended in an error."""
        self._failures.inc()

    def abandoned(self) -> None:
        """Count a stream that the gateway ended before a decision."""
        self._abandoned.inc()

    def reloaded(self, *, good: bool) -> None:
        """Count a changed configuration file."""
        self._reloads.labels("loaded" if good else "refused").inc()

    def count_in_flight(self, in_flight: Callable[[], int]) -> None:
        """Add the bytes that are being decided, which are looked up whenever somebody asks."""
        gauge = Gauge("routegen_bytes_in_flight", "Request bodies being handled.", registry=self._registry)
        gauge.set_function(in_flight)

    def look_up(self, registry: Callable[[], Registry], ready: Callable[[], bool], crew: Callable[[], Crew]) -> None:
        """Add the gauges that a router has once, looked up at each scrape, in the scraping thread."""
        self._registry.register(_Gauges(registry, ready, crew))

    def read(self) -> list[Family]:
        """All that is counted here."""
        return tallies.read(self._registry)

    def render(self, others: Iterable[Iterable[Family]] = ()) -> bytes:
        """The Prometheus text format.

        :param others: what other processes of the same router have counted.
        """
        return tallies.render(tallies.together([self.read(), *others]))


class _Distribution:
    """A histogram; a prometheus_client collector. The library's own takes a lock for every bucket and sum."""

    def __init__(self, name: str, documentation: str, bounds: Sequence[float]) -> None:
        self._name, self._documentation, self._bounds = name, documentation, bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value: in the first bucket whose bound it doesn't exceed."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def collect(self) -> Iterator[Metric]:
        names = [*map(floatToGoString, self._bounds), "+Inf"]
        buckets = list(zip(names, accumulate(self._counts), strict=True))
        yield HistogramMetricFamily(self._name, self._documentation, buckets=buckets, sum_value=self._sum)


class _Gauges:
    """A prometheus_client collector."""

    def __init__(self, registry: Callable[[], Registry], ready: Callable[[], bool], crew: Callable[[], Crew]) -> None:
        self._registry, self._ready, self._crew = registry, ready, crew

    def collect(self) -> Iterator[Metric]:
        info = GaugeMetricFamily("routegen_build_info", "1, with the router's version.", labels=["version"])
        info.add_metric([__version__], 1)
        yield info
        yield GaugeMetricFamily("routegen_ready", "1 while the router takes requests.", value=self._ready())
        crew = self._crew()
        yield GaugeMetricFamily("routegen_workers", "Processes that decide now.", value=crew.taking)
        yield GaugeMetricFamily("routegen_workers_wanted", "Processes that should.", value=crew.size)
        yield CounterMetricFamily(
            "routegen_worker_restarts", "Workers begun anew after they ended.", value=crew.begun_anew
        )
        up = GaugeMetricFamily("routegen_registry_up", "0 once an engine stopped answering.", labels=["backend"])
        age = GaugeMetricFamily(
            "routegen_registry_age_seconds", "Since an engine last told its models.", labels=["backend"]
        )
        now = time.time()
        for name, entry in self._registry().backends.items():
            if entry.known.backend.poll is None:
                continue
            up.add_metric([name], entry.known.alive)
            if entry.known.answer is not None:
                age.add_metric([name], now - entry.known.answer.at)
        yield up
        yield age
