"""Router configurations, requests and registry views made by hand, for tests of the policy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from routegen_router.config import Backend, Config, Models, Poll
from routegen_router.decide import Decision, decide
from routegen_router.models import Answer, Known, Snapshot
from routegen_router.refusals import Reject
from routegen_router.request import Facts, Source
from routegen_router.rules import Lookup, Rule, Split

PATH = "/v1/chat/completions"
ENGINE = Source(body=("inference_server",))
OWNED_BY = Source(body=("owned_by",))
HEADER = Source(header="x-engine")


def backend(name: str, owner: str | None = None, models: Iterable[str] = (), *, polled: bool = False) -> Backend:
    poll = Poll(urls=(f"http://{name}:8000/v1/models",)) if polled else None
    return Backend(name=name, owner=owner, models=tuple(models), poll=poll)


def config(
    backends: Iterable[Backend],
    rules: Iterable[Rule] = (),
    models: Models | None = None,
    max_body: int = 1 << 20,
    paths: Iterable[str] = (PATH, "/v1/embeddings"),
) -> Config:
    return Config(
        name="inference/test",
        routing_header="x-inference-server",
        paths=tuple(paths),
        max_body_bytes=max_body,
        max_inflight_bytes=8 * max_body,
        models=models or Models(),
        backends=tuple(backends),
        rules=tuple(rules),
    )


def view(given: Config, answers: Mapping[str, Answer] | None = None, dead: Iterable[str] = ()) -> Snapshot:
    """What is known after these answers, with these engines no longer answering."""
    dead, answers = set(dead), answers or {}
    return Snapshot(Known(entry, answers.get(entry.name), alive=entry.name not in dead) for entry in given.backends)


def answer(*models: str, owner: str | None = None, created: int = 0) -> Answer:
    return Answer(dict.fromkeys(models, created), owner, 1_700_000_000.0)


BACKENDS = (
    backend("vllm-a", "vllm", ["llama", "llama-*"]),
    backend("vllm-b", "vllm", ["llama", "mistral"]),
    backend("sglang", "sglang", ["llama", "qwen"]),
    backend("trtllm", "nvidia", ["big"]),
)
BY_ENGINE = Lookup(name="engine", source=ENGINE)
BY_OWNER = Lookup(name="owner", source=OWNED_BY)
EVEN = Split(name="split", weights=(("vllm", 50), ("sglang", 50)))
CHAIN: tuple[Rule, ...] = (BY_ENGINE, BY_OWNER, EVEN)


def facts(
    engine: str | None = None,
    owner: str | None = None,
    model: str | None = None,
    header: str | None = None,
    path: str = PATH,
    **fields: str,
) -> Facts:
    given = {"inference_server": engine, "owned_by": owner, "model": model, **fields}
    body: dict[tuple[str, ...], str] = {(name,): value for name, value in given.items() if value is not None}
    return Facts(path, model, body, {} if header is None else {"x-engine": header})


def run(
    request: Facts,
    rules: Iterable[Rule] = CHAIN,
    point: float = 0.0,
    known: Snapshot | None = None,
    given: Config | None = None,
) -> Decision:
    made = given or config(BACKENDS, rules)
    return decide(request, made, known or view(made), lambda: point)


def refused(decision: Decision) -> tuple[int, str, str | None, str | None]:
    assert isinstance(decision, Reject)
    return decision.status, decision.code, decision.param, decision.rule
