"""The model: whether both engines serve the same one, in the same precision."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from routegen.audit.facts import Fact
from routegen.audit.findings import Hit, Severity, rule
from routegen.audit.pairs import Pair
from routegen.audit.rules.checks import args_yaml, in_doubt, option_unequal, unequal
from routegen.audit.storage import Model, model

_COMMIT = re.compile(r"[0-9a-f]{40}")


@rule(
    "FAIR050",
    "model",
    Severity.ERROR,
    title="The engines serve different models",
    why="Models differ by far more than engines do.",
)
def model_differs(pair: Pair) -> Iterator[Hit]:
    """The model is named by a Hugging Face id, a URI, or a local path.

    A path is followed to its volume, and to an init container that downloads a model there
    (`hf download … --local-dir …`). An id and a local directory of the same name are probably one model, but manifests
    don't prove it: cannot tell.
    """
    first, second = model(pair.first), model(pair.second)
    facts = (first.fact, second.fact)
    fix = f"# in both:\n{args_yaml(pair, 'model', first.hub or second.hub or '/models/<model>')}"
    if not all(fact.known for fact in facts):
        yield from unequal(pair, facts, "the model", fix)
        return
    values = f"{pair.first.name}: {first.fact.shown}; {pair.second.name}: {second.fact.shown}"
    outcome = _same(first, second)
    if outcome is None:
        yield Hit(f"cannot tell whether the models are the same ({values})", facts, fix, unknown=True)
    elif not outcome:
        yield Hit(f"the models differ ({values})", facts, fix)


def _same(first: Model, second: Model) -> bool | None:
    if first.hub and second.hub:
        return first.hub.lower() == second.hub.lower()
    if first.uri and second.uri:
        return first.uri.rstrip("/") == second.uri.rstrip("/")
    one, other = first.location, second.location
    if one is not None and other is not None and one.shared and one.volume == other.volume:
        return one.path == other.path
    if one is not None and other is not None and not (one.shared and other.shared):
        return None
    return None if first.last_name == second.last_name else False


@rule(
    "FAIR051",
    "model",
    Severity.WARNING,
    title="The model's revision is not pinned",
    why="The hub's main branch moves; the engine that starts later can load other weights or another template.",
)
def revision(pair: Pair) -> Iterator[Hit]:
    """The model is a Hugging Face id and `--revision` (or `hf://id:revision`) is no commit, or differs.

    Branches and tags can be moved. Not for local paths: there the files are what they are.
    """
    facts = []
    for engine, _ in pair.each():
        found = model(engine)
        told = engine.option("revision")
        if not found.hub or (told.whole and not found.revision):
            return
        known = found.revision or ("" if told.known else None)
        facts.append(
            Fact("unknown" if known is None else "set", known or None, told.place, told.note if known is None else "")
        )
    fix = f"# the commit that the hub shows for the model:\n{args_yaml(pair, 'revision', '<commit>')}"
    uris = [engine.manifest.get("spec", "model", "uri") for engine, _ in pair.each()]
    if all(isinstance(uri, str) and uri.startswith("hf://") for uri in uris):
        fix = f'# the commit that the hub shows for the model, in both:\nmodel: {{uri: "hf://{model(pair.first).hub}:<commit>"}}'
    if any(model(engine).location is not None for engine, _ in pair.each()):
        fix = 'args: ["--revision=<commit>"]  # for each `hf download`'
    before = list(unequal(pair, (facts[0], facts[1]), "the model's revision", fix))
    yield from before
    if before:
        return
    if not _COMMIT.fullmatch(str(facts[0].value)):
        yield Hit(f"both load the revision {facts[0].value or 'main'}, which can move", (facts[0], facts[1]), fix)


@rule(
    "FAIR052",
    "model",
    Severity.ERROR,
    title="The engines compute in different precision",
    why="Half the bits is about twice the speed, and not the same answers.",
)
def dtype(pair: Pair) -> Iterator[Hit]:
    """`--dtype` differs; `half` is `float16`.

    `auto`, the default of both engines, is the model's own precision: beside a precision that is written out it can't
    be told whether the two are the same.
    """
    yield from option_unequal(pair, "dtype", "the precision (dtype)", "bfloat16")


@rule(
    "FAIR053",
    "model",
    Severity.ERROR,
    title="Only one engine quantises, or they do it differently",
    why="A quantised model is smaller and faster, and not the same model.",
)
def quantization(pair: Pair) -> Iterator[Hit]:
    """`--quantization` differs. Where neither sets it, the model's own files decide for both."""
    yield from option_unequal(pair, "quantization", "quantisation", "<none or the same>")


@rule(
    "FAIR054",
    "model",
    Severity.ERROR,
    title="The KV caches have different precision",
    why="An 8-bit KV cache holds twice the tokens of a 16-bit one in the same memory.",
)
def kv_cache_dtype(pair: Pair) -> Iterator[Hit]:
    """`--kv-cache-dtype` differs. vLLM's `fp8` is `fp8_e4m3`."""
    yield from option_unequal(pair, "kv_cache_dtype", "the KV cache's precision", "auto")


@rule(
    "FAIR055",
    "model",
    Severity.ERROR,
    title="The context lengths differ",
    why="The longer context reserves more memory a request and refuses fewer of them.",
)
def context_length(pair: Pair) -> Iterator[Hit]:
    """The values of `--max-model-len` (vLLM) and `--context-length` (SGLang) differ.

    Where neither is set, the model's config.json decides for both.
    """
    yield from option_unequal(pair, "context_length", "the context length", 8192)


@rule(
    "FAIR056",
    "model",
    Severity.WARNING,
    title="The engines use different tokenizers",
    why="Another tokenizer makes other token counts of the same text, so rates per token can't be compared.",
)
def tokenizer(pair: Pair) -> Iterator[Hit]:
    """`--tokenizer` (vLLM) and `--tokenizer-path` (SGLang) differ. Where neither is set, the model brings its own."""
    yield from option_unequal(pair, "tokenizer", "the tokenizer", "<the model>")


@rule(
    "FAIR057",
    "model",
    Severity.ERROR,
    title="An engine runs on dummy weights",
    why="Random weights never stop a sentence where the model would, so lengths and times mean nothing.",
)
def dummy_weights(pair: Pair) -> Iterator[Hit]:
    """`--load-format dummy`, which both engines offer for profiling."""
    for engine, other in pair.each():
        facts = (engine.option("load_format"), other.option("load_format"))
        if facts[0].value == "dummy":
            yield Hit(f"{engine.name} loads dummy weights", facts, args_yaml(pair, "load_format", "auto"))
        yield from in_doubt(facts[0], f"whether {engine.name} loads real weights", "# write --load-format out")


@rule(
    "FAIR058",
    "model",
    Severity.WARNING,
    title="Only one engine runs code that comes with the model",
    why="The model's own code and the engine's can compute different things at different speed.",
)
def remote_code(pair: Pair) -> Iterator[Hit]:
    """`--trust-remote-code` differs."""
    yield from option_unequal(pair, "trust_remote_code", "--trust-remote-code", example=True)


@rule(
    "FAIR059",
    "model",
    Severity.WARNING,
    title="Clients know the model by different names",
    why="A request that names the model reaches only one engine, so the two never get the same traffic.",
)
def served_name(pair: Pair) -> Iterator[Hit]:
    """No name in `--served-model-name` is common to both.

    Where it is not set, the model is served under its own name or path; by KServe's preset as `spec.model.name`. With
    `--routes`, an engine's name is the one that `models` in routes.yaml gives clients for it.
    """
    facts = []
    for engine, _ in pair.each():
        told, found = engine.option("served_model_name"), model(engine)
        if not told.known and told.token and engine.option("model").known:
            told = Fact("default", engine.option("model").value, found.fact.place, "the model's name")
        facts.append(_for_clients(told, pair.renames.get(engine.name, {})))
    if all(fact.known for fact in facts) and set(str(facts[0].value).split()) & set(str(facts[1].value).split()):
        return
    fix = args_yaml(pair, "served_model_name", str(facts[0].value or "<name>"))
    yield from unequal(pair, (facts[0], facts[1]), "the served model name", fix)


def _for_clients(served: Fact, renames: Mapping[str, str]) -> Fact:
    """The names of an engine's models as clients write them."""
    own = set(str(served.value).split()) if served.known else set()
    names = {name for name, its in renames.items() if its in own} | (own - set(renames.values()))
    return served if names == own else replace(served, value=" ".join(sorted(names)), text="")


RULES = (
    model_differs,
    revision,
    dtype,
    quantization,
    kv_cache_dtype,
    context_length,
    tokenizer,
    dummy_weights,
    remote_code,
    served_name,
)
