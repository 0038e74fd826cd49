"""GPU memory: how much of it each engine has for its KV cache."""

from __future__ import annotations

from collections.abc import Iterator

from routegen.audit.engine import Engine
from routegen.audit.facts import Fact
from routegen.audit.findings import Hit, Severity, rule
from routegen.audit.gpus import gpus, on_cpu
from routegen.audit.pairs import Pair
from routegen.audit.placement import placement
from routegen.audit.rules.checks import option_unequal

_SAME_TOKENS = (
    'args: ["--num-gpu-blocks-override=2048", "--block-size=16"]  # vLLM: 2048 x 16 = 32768 tokens\n'
    "---\n"
    'args: ["--max-total-tokens=32768"]  # SGLang'
)


def kv_tokens(engine: Engine) -> Fact:
    """How many tokens the KV cache is told to hold; ``None`` where the engine sizes it by itself."""
    tokens, blocks = engine.option("kv_cache_tokens"), engine.option("kv_cache_blocks")
    if engine.line.kind is not None and "kv_cache_blocks" not in engine.line.kind.options:
        return tokens if tokens.value != "none" else Fact("default", None, tokens.place)
    if not blocks.known:
        return blocks
    if blocks.value == "none":
        return Fact("default", None, blocks.place)
    size = engine.option("block_size")
    return Fact("set", blocks.value * size.value, blocks.place) if size.known else size


@rule(
    "FAIR015",
    "gpu memory",
    Severity.WARNING,
    title="The engines' memory fractions are different quantities",
    why="Equal fractions give unequal KV caches, and the engine with the larger cache wins under load.",
)
def fractions(pair: Pair) -> Iterator[Hit]:
    """The engines are of different kinds and size their KV cache by a fraction.

    vLLM's `--gpu-memory-utilization` is a share of the GPU's whole memory, for everything that the instance uses.
    SGLang's `--mem-fraction-static` is a share of what is free when it starts, for weights and KV cache alone. What
    can be compared is the number of tokens that the KV caches hold: `--num-gpu-blocks-override` times `--block-size`
    for vLLM, `--max-total-tokens` for SGLang. The rule is silent where both are given; FAIR016 then compares them.
    At run time compare vLLM's metric `vllm:cache_config_info` with SGLang's `max_total_num_tokens`.
    """
    first, second = pair.first.line.kind, pair.second.line.kind
    if first is None or second is None or first is second or on_cpu(pair.first) or on_cpu(pair.second):
        return
    tokens = (kv_tokens(pair.first), kv_tokens(pair.second))
    if all(fact.value is not None or fact.whole for fact in tokens):
        return
    facts = pair.option("memory_fraction")
    shares = f"{pair.first.name}: {facts[0].shown}; {pair.second.name}: {facts[1].shown}"
    yield Hit(f"the memory fractions can't be compared ({shares})", facts, _SAME_TOKENS)


@rule(
    "FAIR016",
    "gpu memory",
    Severity.ERROR,
    title="The KV caches hold different numbers of tokens",
    why="The larger KV cache runs more requests at once and keeps more prefixes, whatever the engine.",
)
def capacity(pair: Pair) -> Iterator[Hit]:
    """Both engines are told the size of their KV cache in tokens, and the numbers differ.

    For two engines of one kind their memory fractions and KV cache bytes are compared too.
    """
    tokens = (kv_tokens(pair.first), kv_tokens(pair.second))
    if all(fact.known and fact.value is not None for fact in tokens):
        if tokens[0].value != tokens[1].value:
            yield Hit(f"the KV caches hold {tokens[0].value} and {tokens[1].value} tokens", tokens, _SAME_TOKENS)
    elif pair.first.line.kind is pair.second.line.kind:
        yield from option_unequal(pair, "memory_fraction", "the memory fraction", 0.85)
        if pair.first.line.kind is not None and "kv_cache_bytes" in pair.first.line.kind.options:
            yield from option_unequal(pair, "kv_cache_bytes", "the KV cache's size in bytes", "8G")


@rule(
    "FAIR017",
    "gpu memory",
    Severity.ERROR,
    title="Together the engines take more memory than the GPU has",
    why="The engine that starts second fails or gets a smaller cache, so the order of starting decides.",
)
def oversubscribed(pair: Pair) -> Iterator[Hit]:
    """Both engines are on one GPU (the same pinned index) and their fractions add up to more than 1."""
    both = [gpus(engine) for engine, _ in pair.each()]
    one_gpu = both[0].way == both[1].way == "pinned" and bool(both[0].indices & both[1].indices)
    facts = pair.option("memory_fraction")
    if not one_gpu or placement(pair).nodes == "different" or not all(fact.known for fact in facts):
        return
    total = facts[0].value + facts[1].value
    if total > 1:
        yield Hit(f"the fractions on one GPU add up to {total:.2f}", facts, "# give each engine its own GPU (FAIR001)")


@rule(
    "FAIR018",
    "gpu memory",
    Severity.ERROR,
    title="Only one engine keeps weights in the CPU's memory",
    why="Weights that cross the PCIe bus for every token make an engine many times slower.",
)
def cpu_offload(pair: Pair) -> Iterator[Hit]:
    """`--cpu-offload-gb` differs."""
    yield from option_unequal(pair, "cpu_offload_gb", "offloading of weights to the CPU", 0)


@rule(
    "FAIR019",
    "gpu memory",
    Severity.WARNING,
    title="Only one engine keeps or moves KV cache outside of its GPU",
    why="KV cache from CPU memory, a disk or another pod answers prompts that the engine doesn't compute.",
)
def kv_offload(pair: Pair) -> Iterator[Hit]:
    """One engine has a second cache level, or takes KV cache from a pod that reads prompts; the other not.

    That is `--kv-offloading-size` or `--kv-transfer-config` (vLLM), `--enable-hierarchical-cache`, `--enable-lmcache`
    or `--disaggregation-mode` (SGLang).
    """
    yield from option_unequal(pair, "kv_offloading", "the use of KV cache outside of the GPU", example=False)


RULES = (fractions, capacity, oversubscribed, cpu_offload, kv_offload)
