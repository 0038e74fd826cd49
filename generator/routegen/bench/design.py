"""What is decided before the first request: the content of run.json."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from routegen_router.backend import Key


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """How requests arrive."""

    kind: Literal["closed", "constant", "poisson", "trace"]
    concurrency: int | None = None
    """Closed loop: this many requests in flight, each worker's next sent when its last has ended."""
    ramp: float = 0.0
    """Closed loop: seconds over which the workers' first requests are spread; 0: all at once, which keeps requests of
    one length in step with each other."""
    rate: float | None = None
    """Open loop: requests per second, sent when they are due whatever the engine does; ``None`` for a trace, whose file
    says when."""


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """A file of prompts of one's own; of its content only the hash is recorded."""

    path: str
    sha256: str
    conversations: int
    turns: int
    """The most requests that one of them has."""
    timed: bool
    """Each says when it is due."""
    chat: bool
    """Some are chats, not texts."""


class Slo(msgspec.Struct, frozen=True, kw_only=True):
    """The service level that goodput counts against, in seconds; ``None``: not asked for."""

    ttft: float | None = None
    tpot: float | None = None
    e2e: float | None = None


class Design(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was decided before the first request."""

    seed: int
    """Of prompts, arrival times, order and the bootstrap."""
    blocks: int
    """How many are measured, at most."""
    requests: int
    """Per arm and block."""
    load: Load
    warmup: int
    """Requests per arm before the first block, sent at the measured load; their prompts are measured only with
    ``cache: warm``, which is their purpose."""
    path: str
    """``/v1/chat/completions`` or ``/v1/completions``."""
    input_tokens: int
    """Aimed at, without a tokenizer; ``Request.prompt_tokens`` has what the engine counted."""
    output_tokens: int
    cache: Literal["cold", "warm", "as-is"]
    ignore_eos: bool
    sampling: dict[str, Any]
    """JSON, sent alike to every arm: temperature, top_p, seed, …"""
    timeout: float
    """Seconds from sending to the end of the answer."""
    primary: str
    """The metric that the verdict is about, such as ``e2e``."""
    margin: float
    """Differences inside ± this share are equivalent in practice; 0.03 is 3 %."""
    confidence: float
    """Of the intervals; the rest is the share of runs that may call equal engines different, all looks together."""
    slo: Slo = Slo()
    workload: Workload | None = None
    """Where prompts are the user's own: ``requests`` then counts conversations, and ``input_tokens`` means nothing."""
    shared_prefix: int = 0
    """About so many tokens stand before every prompt of an arm, the same in all of them."""
    probes: int = 0
    """Prompts that every arm gets alike before the first block, to compare what they answer."""
    looks: tuple[int, ...] = ()
    """The numbers of blocks after which the result is looked at, and measuring ends if it is decided; empty: once, at
    the end."""


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is measured: an engine, the way to it, and who else is loaded meanwhile."""

    name: str
    engine: str
    """Arms of one engine share this."""
    url: str
    """Scheme, host and port; the design's path is appended. Without user and password."""
    model: str
    via: Literal["gateway", "direct"]
    inference_server: str | None = None
    """The value of the body's field of that name; ``None``: not sent."""
    routing_header: str | None = None
    """The gateway's response header that names the backend; an answer that has it must name ``inference_server``."""
    repeats: str | None = None
    """The arm that this one repeats as the A/A control."""
    together: bool = False
    """Loaded while the slot's other arms are loaded too."""
    engine_url: str | None = None
    """The engine's own address, whose ``/metrics`` is sampled; ``None`` where only the gateway's is known."""
    key: Key | None = None
    """Where the engine's API key lies, never the key; with ``send``, the router puts it on the gateway's requests."""
    engine_names: dict[str, str] = {}
    """A model's name for the gateway's clients -> its name for this engine, where that is another."""
    max_length: int | None = None
    """``max_model_len`` of the engine's ``GET /v1/models``: prompt and answer together, in tokens."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """A question put to two arms; ratios are ``other / base``."""

    base: str
    other: str
    question: Literal["engines", "overhead", "interference", "control"]
    """Which engine is faster; what the gateway costs; what the neighbour's load costs; the noise floor."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What the audit says of the engines' manifests; ``routegen audit --explain RULE`` has the whole story."""

    rule: str
    severity: str
    """``info``, ``warning`` or ``error``."""
    message: str
    place: str
    """File, line and path."""
    cannot_tell: bool
    """Nothing is proven wrong, but nothing is proven right either."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """run.json."""

    format: int
    id: str
    started_at: str
    """UTC, ISO 8601."""
    version: str
    """Of routegen."""
    design: Design
    arms: tuple[Arm, ...]
    slots: tuple[tuple[str, ...], ...]
    """The parts of a block: the arms that are loaded at once. Their order changes from block to block."""
    comparisons: tuple[Comparison, ...]
    environment: dict[str, str]
    """The client's: python, platform, CPUs, library versions."""
    api_key_env: str | None = None
    """The environment variable that holds the API key of all arms, in place of their own; never the key itself."""
    audit: tuple[Finding, ...] | None = None
    """Of the engines' manifests; ``None``: none were given, so nobody looked."""

    def arm(self, name: str) -> Arm:
        """The arm called ``name``.

        :raises KeyError: there is none.
        """
        return {arm.name: arm for arm in self.arms}[name]
