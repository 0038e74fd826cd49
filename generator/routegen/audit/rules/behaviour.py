"""Engine behaviour: what each engine is told to do with requests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from routegen.audit.engine import KSERVE, Engine
from routegen.audit.facts import Fact
from routegen.audit.findings import Hit, Severity, rule
from routegen.audit.pairs import Pair
from routegen.audit.rules.checks import env_yaml, option_unequal, unequal

_LEFT_OPEN = (
    "model",
    "revision",
    "context_length",
    "dtype",
    "quantization",
    "kv_cache_dtype",
    "memory_fraction",
    "tensor_parallel",
    "max_sequences",
    "prefix_caching",
    "cuda_graphs",
    "speculative",
    "chat_template",
)


@rule(
    "FAIR060",
    "engine",
    Severity.ERROR,
    title="Only one engine caches prefixes",
    why="A warm prefix cache shortens the time to the first token many times over; that measures the prompts.",
)
def prefix_caching(pair: Pair) -> Iterator[Hit]:
    """Since 0.8 vLLM caches prefixes unless `--no-enable-prefix-caching`; SGLang unless `--disable-radix-cache`.

    Even with both on, compare with prompts that share no beginning, or say that caching is what is measured.
    """
    yield from option_unequal(pair, "prefix_caching", "prefix caching", example=True)


@rule(
    "FAIR061",
    "engine",
    Severity.ERROR,
    title="The engines split the model differently",
    why="Tensor, pipeline and data parallelism trade latency for throughput.",
)
def parallelism(pair: Pair) -> Iterator[Hit]:
    """Tensor, pipeline or data parallelism differs, or only one engine has pods of their own that read prompts.

    Those are `spec.prefill` of an LLMInferenceService, or a role called prefill beside the engine's.
    """
    for kind in ("tensor", "pipeline", "data"):
        yield from option_unequal(pair, f"{kind}_parallel", f"{kind} parallelism", 1)
    prefill = [_prefilled(engine) for engine, _ in pair.each()]
    if any(fact.value for fact in prefill):
        yield from unequal(pair, (prefill[0], prefill[1]), "prefill in pods of its own", "# in both, or in none")


def _prefilled(engine: Engine) -> Fact:
    """Whether pods of their own read the prompts."""
    told = engine.manifest.fact("spec", "prefill")
    if engine.manifest.kind == KSERVE:
        return Fact("set", told.value is not None, told.place)
    return Fact("set", engine.prefilled, engine.manifest.place("spec"))


@rule(
    "FAIR062",
    "engine",
    Severity.ERROR,
    title="Only one engine uses CUDA graphs",
    why="Without CUDA graphs each token pays for launching every kernel; small models become several times slower.",
)
def cuda_graphs(pair: Pair) -> Iterator[Hit]:
    """One engine has `--enforce-eager` (vLLM) or `--disable-cuda-graph` (SGLang), the other not."""
    yield from option_unequal(pair, "cuda_graphs", "the use of CUDA graphs", example=True)


@rule(
    "FAIR063",
    "engine",
    Severity.WARNING,
    title="The engines run different numbers of requests at once",
    why="The batch size decides between latency and throughput more than the engine does.",
)
def max_sequences(pair: Pair) -> Iterator[Hit]:
    """The values of `--max-num-seqs` (vLLM) and `--max-running-requests` (SGLang) differ.

    Both defaults depend on the hardware, in different ways: where neither is set the audit can't tell.
    """
    yield from option_unequal(pair, "max_sequences", "the number of requests at once", 64)


@rule(
    "FAIR064",
    "engine",
    Severity.WARNING,
    title="The engines read prompts in different portions",
    why="Larger portions give throughput, smaller ones keep the time between tokens even.",
)
def prefill_chunk(pair: Pair) -> Iterator[Hit]:
    """The values of `--max-num-batched-tokens` (vLLM) and `--chunked-prefill-size` (SGLang) differ.

    Not quite the same thing (vLLM's number includes the tokens being generated), but they bound the same step.
    """
    yield from option_unequal(pair, "prefill_chunk", "the portion of a prompt read at once", 8192)


@rule(
    "FAIR065",
    "engine",
    Severity.ERROR,
    title="The engines use different chat templates",
    why="Another template makes another prompt: other lengths, other answers.",
)
def chat_template(pair: Pair) -> Iterator[Hit]:
    """`--chat-template` differs. Where neither is set, the model's tokenizer brings the template for both."""
    yield from option_unequal(pair, "chat_template", "the chat template", "/models/template.jinja")


@rule(
    "FAIR066",
    "engine",
    Severity.INFO,
    title="The engines parse answers differently",
    why="A parser for tools or reasoning holds back and rearranges streamed tokens.",
)
def parsers(pair: Pair) -> Iterator[Hit]:
    """One engine has a `--tool-call-parser` or `--reasoning-parser` and the other none.

    Two different names are not reported: the engines call the same parser by different names.
    """
    for name, what in (("tool_call_parser", "a tool-call parser"), ("reasoning_parser", "a reasoning parser")):
        told = pair.option(name)
        facts = [replace(fact, value=fact.value != "none") if fact.known else fact for fact in told]
        yield from unequal(pair, (facts[0], facts[1]), what, f"# --{name.replace('_', '-')} in both, or in none")


@rule(
    "FAIR067",
    "engine",
    Severity.ERROR,
    title="Only one engine decodes speculatively",
    why="A draft model changes the cost of every token, by how predictable the text is.",
)
def speculative(pair: Pair) -> Iterator[Hit]:
    """One engine has `--speculative-config` (vLLM) or `--speculative-algorithm` (SGLang), the other not."""
    yield from option_unequal(pair, "speculative", "speculative decoding", example=False)


@rule(
    "FAIR068",
    "engine",
    Severity.WARNING,
    title="Only one engine logs every request",
    why="Logging prompts costs CPU on the path of each request, and writes users' text to the log.",
)
def request_logging(pair: Pair) -> Iterator[Hit]:
    """One engine logs requests, the other doesn't.

    SGLang does with `--log-requests`; vLLM up to 0.10.0 unless `--disable-log-requests`, later only with
    `--enable-log-requests`.
    """
    yield from option_unequal(pair, "log_requests", "logging of requests", example=False)


@rule(
    "FAIR069",
    "engine",
    Severity.WARNING,
    title="The engines take sampling defaults from different places",
    why="Requests that don't set temperature or top_p are then sampled differently, with other answer lengths.",
)
def sampling_defaults(pair: Pair) -> Iterator[Hit]:
    """Both have a choice: the model's file, or the engine's own values. The choices differ.

    The options are `--generation-config` (vLLM) and `--sampling-defaults` (SGLang).

    Sending temperature, top_p, top_k and max_tokens in every request makes this harmless.
    """
    yield from option_unequal(pair, "sampling_defaults", "the source of sampling defaults", "model")


@rule(
    "FAIR073",
    "engine",
    Severity.WARNING,
    title="An engine's command can't be read",
    why="What the audit can't read it can't compare; settings that look absent may be there.",
)
def unreadable(pair: Pair) -> Iterator[Hit]:
    """The command depends on something that is not in the input, or starts no engine that is known here.

    Such as a variable from a Secret, the output of a command, an `if` in the start script, or a `--config` file.
    Options that are given plainly are still compared; for all others this is the one finding. Variables from an
    `envFrom` that the input doesn't hold are information: mostly it is a token.
    """
    for engine, _ in pair.each():
        facts = {name: engine.option(name) for name in _LEFT_OPEN}
        if reason := engine.environment.open:
            fact = Fact("unknown", None, engine.place("envFrom"), reason, token="environment")  # noqa: S106 - no secret
            fix = "# put the object that it comes from into the input, or list the variables in `env`"
            yield Hit(f"cannot tell the environment of {engine.name}: {reason}", (fact,), fix, unknown=True)
        open_ones = [name.replace("_", " ") for name, fact in facts.items() if fact.whole]
        if open_ones:
            fact = next(fact for fact in facts.values() if fact.whole)
            message = f"cannot tell {', '.join(open_ones)} of {engine.name}: {fact.note}"
            yield Hit(message, (fact,), "# write the arguments out in `args`, one by one", unknown=True)


@rule(
    "FAIR074",
    "engine",
    Severity.WARNING,
    title="Only one engine serves LoRA adapters",
    why="LoRA support costs memory and time in every layer, used or not.",
)
def lora(pair: Pair) -> Iterator[Hit]:
    """`--enable-lora` (or SGLang's `--lora-paths`, or `spec.model.lora`) in one engine only."""
    facts = []
    for engine, _ in pair.each():
        adapters = engine.manifest.fact("spec", "model", "lora")
        facts.append(Fact("set", True, adapters.place) if adapters.value else engine.option("lora"))
    yield from unequal(pair, (facts[0], facts[1]), "LoRA support", "# in both, or in none")


@rule(
    "FAIR075",
    "engine",
    Severity.WARNING,
    title="Only one engine computes deterministically",
    why="Batch-invariant kernels cost a large part of the speed.",
)
def deterministic(pair: Pair) -> Iterator[Hit]:
    """SGLang's `--enable-deterministic-inference` or vLLM's `VLLM_BATCH_INVARIANT=1` in one engine only."""
    facts = []
    for engine, _ in pair.each():
        told, variable = engine.option("deterministic"), engine.variable("VLLM_BATCH_INVARIANT")
        on = told.value is True or str(variable.value) == "1"
        place = variable.place if variable.state == "set" else told.place
        open_ones = [fact for fact in (told, variable) if not fact.known]
        facts.append(open_ones[0] if open_ones and not on else Fact("set", on, place))
    fix = f"{env_yaml('VLLM_BATCH_INVARIANT', '1')}  # vLLM; SGLang: --enable-deterministic-inference"
    yield from unequal(pair, (facts[0], facts[1]), "deterministic inference", fix)


RULES = (
    prefix_caching,
    parallelism,
    cuda_graphs,
    max_sequences,
    prefill_chunk,
    chat_template,
    parsers,
    speculative,
    request_logging,
    sampling_defaults,
    unreadable,
    lora,
    deterministic,
)
