"""The engine's own ``GET /metrics``, under its own names: what comparisons read, and what endpoint pickers do."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from routegen.mock_engine.generation import Usage
from routegen.mock_engine.personality import Personality


class Figures:
    """What one mock engine counts."""

    def __init__(self, personality: Personality) -> None:
        self._registry = CollectorRegistry()
        names, labels = personality.metrics, ["model_name"]
        self._running = Gauge(names.running, "Requests being answered.", labels, registry=self._registry)
        self._waiting = Gauge(names.waiting, "Requests that wait for a place.", labels, registry=self._registry)
        self._cache = Gauge(names.cache_usage, "Share of the KV cache in use.", labels, registry=self._registry)
        cache = Gauge(names.cache_config, "The KV cache.", list(names.cache_labels), registry=self._registry)
        cache.labels(**names.cache_labels).set(1)
        self._requests = Counter(names.requests, "Requests answered.", labels, registry=self._registry)
        self._prompt = Counter(names.prompt_tokens, "Prompt tokens.", labels, registry=self._registry)
        self._generated = Counter(names.generation_tokens, "Tokens generated.", labels, registry=self._registry)
        self._cached = Counter(names.cached_tokens, "Prompt tokens found cached.", labels, registry=self._registry)
        self._ttft = Histogram(names.ttft, "Time to first token.", labels, registry=self._registry)

    def started(self, model: str, usage: Usage) -> None:
        """A request's prompt was read; it waits for a place."""
        self._waiting.labels(model).inc()
        self._prompt.labels(model).inc(usage.prompt)
        self._cached.labels(model).inc(usage.cached)

    def admitted(self, model: str) -> None:
        """It has its place."""
        self._waiting.labels(model).dec()
        self._running.labels(model).inc()

    def first_token(self, model: str, seconds: float) -> None:
        """The first token left ``seconds`` after the request had come."""
        self._ttft.labels(model).observe(seconds)

    def finished(self, model: str, usage: Usage) -> None:
        """All was answered."""
        self._requests.labels(model).inc()
        self._generated.labels(model).inc(usage.generated)

    def ended(self, model: str, *, admitted: bool) -> None:
        """The request is over, however it went, and with or without having had a place."""
        (self._running if admitted else self._waiting).labels(model).dec()

    def text(self, models: Iterable[str]) -> bytes:
        """In Prometheus' text format. Of ``models`` it tells even before their first request, as engines do."""
        for model in models:
            for gauge in (self._running, self._waiting, self._cache):
                gauge.labels(model)
        return generate_latest(self._registry)
