"""The engines' own figures, from ``GET /metrics`` in Prometheus' text format."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from .sampler import Reading

_FIGURES: Final = {
    "vllm:num_requests_running": "running_requests",
    "vllm:num_requests_waiting": "waiting_requests",
    "vllm:kv_cache_usage_perc": "kv_cache_percent",
    "vllm:prompt_tokens_total": "prompt_tokens_total",
    "vllm:generation_tokens_total": "generation_tokens_total",
    "vllm:prefix_cache_hits_total": "cached_tokens_total",
    "vllm:num_preemptions_total": "preemptions_total",
    "sglang:num_running_reqs": "running_requests",
    "sglang:num_queue_reqs": "waiting_requests",
    "sglang:token_usage": "kv_cache_percent",
    "sglang:prompt_tokens_total": "prompt_tokens_total",
    "sglang:generation_tokens_total": "generation_tokens_total",
    "sglang:cached_tokens_total": "cached_tokens_total",
}
"""The engine's name -> ours. Both engines give the cache's use as a share of 1, whatever vLLM's ``perc`` says."""

_TIMEOUT: Final = 2.0
_DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Without the environment's proxies, as the measured requests go."""


class EngineFigures:
    """One engine's ``/metrics``."""

    def __init__(self, engine: str, url: str) -> None:
        self._engine, self._url = engine, f"{url.rstrip('/')}/metrics"

    def read(self) -> Iterator[Reading]:
        """One reading."""
        try:
            with _DIRECT.open(self._url, timeout=_TIMEOUT) as answer:
                values = figures(answer.read().decode(errors="replace"))
        except urllib.error.HTTPError as error:
            error.close()
            hint = " (SGLang: --enable-metrics)" if error.code == http.HTTPStatus.NOT_FOUND else ""
            yield Reading("engine", self._engine, absent=f"{self._url} answers {error.code}{hint}")
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            yield Reading("engine", self._engine, absent=f"{self._url} gives no answer ({type(reason).__name__})")
        except ValueError:
            yield Reading("engine", self._engine, absent=f"{self._url} is not in Prometheus' text format")
        else:
            absent = None if values else f"{self._url} has none of the figures of vLLM or SGLang"
            yield Reading("engine", self._engine, values, absent)


class UnknownEngine:
    """An engine whose own address nobody has told."""

    def __init__(self, engine: str) -> None:
        self._engine = engine

    def read(self) -> Iterator[Reading]:
        """Why there is nothing."""
        yield Reading(
            "engine", self._engine, absent=f"only the gateway's address is known; add --url {self._engine}=URL"
        )


def figures(text: str) -> dict[str, float]:
    """Our names and values of what ``text`` has, summed over its labels; shares as the mean, in percent.

    :raises ValueError: it is not in Prometheus' text format.
    """
    # Engines list thousands of histogram buckets; parsing only what is wanted costs a hundredth.
    lines = [line for line in text.splitlines() if line.split("{")[0].split(" ")[0] in _FIGURES]
    found: dict[str, list[float]] = {}
    for family in text_string_to_metric_families("\n".join(lines) + "\n"):
        for sample in family.samples:
            found.setdefault(_FIGURES[sample.name], []).append(sample.value)
    return {
        name: 100 * sum(values) / len(values) if name.endswith("_percent") else sum(values)
        for name, values in found.items()
    }
