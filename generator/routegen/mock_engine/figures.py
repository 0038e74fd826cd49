"""The engine's own ``GET /metrics``, under its own names."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from routegen.mock_engine.generation import Usage
from routegen.mock_engine.personality import Personality


class Figures:
    """What one mock engine counts."""

    def __init__(self, personality: Personality) -> None:
        self._registry = CollectorRegistry()
        names, labels = personality.metrics, ["model_name"]
        self._running = Gauge(names.running, "Requests being answered.", labels, registry=self._registry)
        self._requests = Counter(names.requests, "Requests answered.", labels, registry=self._registry)
        self._prompt = Counter(names.prompt_tokens, "Prompt tokens.", labels, registry=self._registry)
        self._generated = Counter(names.generation_tokens, "Tokens generated.", labels, registry=self._registry)
        self._cached = Counter(names.cached_tokens, "Prompt tokens found cached.", labels, registry=self._registry)
        self._ttft = Histogram(names.ttft, "Time to first token.", labels, registry=self._registry)

    def started(self, model: str, usage: Usage) -> None:
        """A request's prompt was read."""
        self._running.labels(model).inc()
        self._prompt.labels(model).inc(usage.prompt)
        self._cached.labels(model).inc(usage.cached)

    def first_token(self, model: str, seconds: float) -> None:
        """The first token left ``seconds`` after the request had come."""
        self._ttft.labels(model).observe(seconds)

    def finished(self, model: str, usage: Usage) -> None:
        """All was answered."""
        self._requests.labels(model).inc()
        self._generated.labels(model).inc(usage.generated)

    def ended(self, model: str) -> None:
        """The request is over, however it went."""
        self._running.labels(model).dec()

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self._registry)
