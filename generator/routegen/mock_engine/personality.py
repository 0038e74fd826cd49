"""What tells the engines apart: the owner they report, their ids, their metrics' names, a few habits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class MetricNames:
    """The engine's own names for the figures that a comparison or an endpoint picker reads from ``GET /metrics``."""

    running: str
    waiting: str
    cache_usage: str
    cache_config: str
    cache_labels: Mapping[str, str]
    """What :attr:`cache_config` says of the KV cache: the size of a block, and how many there are."""
    requests: str
    prompt_tokens: str
    generation_tokens: str
    cached_tokens: str
    ttft: str


@dataclass(frozen=True, slots=True)
class Personality:
    """How one kind of engine presents itself."""

    name: str
    owned_by: str
    chat_prefix: str
    """What a chat completion's id begins with."""
    completion_prefix: str
    embedding_prefix: str
    checks_model: bool
    """vLLM refuses a model that it doesn't serve; SGLang answers with the one it has."""
    usage_extras: Mapping[str, int]
    """Fields that only this engine adds to ``usage``."""
    metrics: MetricNames


VLLM: Final = Personality(
    name="vllm",
    owned_by="vllm",
    chat_prefix="chatcmpl-",
    completion_prefix="cmpl-",
    embedding_prefix="embd-",
    checks_model=True,
    usage_extras={},
    metrics=MetricNames(
        running="vllm:num_requests_running",
        waiting="vllm:num_requests_waiting",
        cache_usage="vllm:kv_cache_usage_perc",
        cache_config="vllm:cache_config_info",
        cache_labels={"block_size": "16", "num_gpu_blocks": "2048"},
        requests="vllm:request_success",
        prompt_tokens="vllm:prompt_tokens",
        generation_tokens="vllm:generation_tokens",
        cached_tokens="vllm:prefix_cache_hits",
        ttft="vllm:time_to_first_token_seconds",
    ),
)

SGLANG: Final = Personality(
    name="sglang",
    owned_by="sglang",
    chat_prefix="",
    completion_prefix="",
    embedding_prefix="",
    checks_model=False,
    usage_extras={"reasoning_tokens": 0},
    metrics=MetricNames(
        running="sglang:num_running_reqs",
        waiting="sglang:num_queue_reqs",
        cache_usage="sglang:token_usage",
        cache_config="sglang:cache_config_info",
        cache_labels={"page_size": "1", "num_pages": "32768"},
        requests="sglang:num_requests",
        prompt_tokens="sglang:prompt_tokens",
        generation_tokens="sglang:generation_tokens",
        cached_tokens="sglang:cached_tokens",
        ttft="sglang:time_to_first_token_seconds",
    ),
)

PERSONALITIES: Final[Mapping[str, Personality]] = {personality.name: personality for personality in (VLLM, SGLANG)}
"""By name."""
