"""Plans made by hand and by Hypothesis, for tests of what is rendered from them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from routegen import plan as ir
from routegen.plan.router import Router
from routegen_router.config import Models
from routegen_router.request import Opened, Source
from routegen_router.rules import Lookup, Split
from support.rules import any_rule, chains

GATEWAY = ir.Gateway(
    target="envoy-gateway",
    name="gateway",
    namespace="inference",
    class_name="eg",
    create=True,
    listeners=(ir.Listener("http", 80),),
    hostnames=(),
    memory=2 << 30,
)
ROUTER = Router(
    image="registry.example.com/routegen-router:test",
    replicas=2,
    resources=(("requests", (("cpu", "250m"), ("memory", "256Mi"))),),
    addresses=("127.0.0.1:50051",),
    max_inflight_bytes=256 << 20,
    failure_backend=None,
)
VLLM = ir.Backend("vllm", ir.ServiceRef("vllm-svc", "inference", 8000), owner="vllm", models=("llama",))
SGLANG = ir.Backend("sglang", ir.ServiceRef("sglang-svc", "inference", 8000), owner="sglang", models=("llama", "qwen"))
ENGINE_FIELD = Source(body=("inference_server",))
TWO_ENGINES = ir.Plan(
    name="compare",
    namespace="inference",
    gateway=GATEWAY,
    router=ROUTER,
    routing_header="x-inference-server",
    paths=("/v1/chat/completions", "/v1/completions"),
    passthrough=(),
    max_body_bytes=32 << 20,
    models=Models(interval=15, timeout=2, unknown="reject"),
    backends=(VLLM, SGLANG),
    rules=(
        Lookup(name="body:inference_server", source=ENGINE_FIELD),
        Split(name="split", weights=(("vllm", 1), ("sglang", 1))),
    ),
)
"""Two engines in the routes' own namespace; change it with :func:`dataclasses.replace`."""


def with_gateway(plan: ir.Plan, **changes: Any) -> ir.Plan:
    """The plan with another gateway."""
    return replace(plan, gateway=replace(plan.gateway, **changes))


def with_router(plan: ir.Plan, **changes: Any) -> ir.Plan:
    """The plan with another router."""
    return replace(plan, router=replace(plan.router, **changes))


NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
PATHS = st.from_regex(r"/v1/[a-z]{1,6}(/[a-z]{1,6})?", fullmatch=True).filter(
    lambda path: not path.startswith("/v1/models")
)
OWNERS = st.sampled_from(["vllm", "sglang", "trtllm"])
SOURCES = st.sampled_from([ENGINE_FIELD, Source(header="x-engine")])
MODELS = st.sampled_from(["llama", "qwen", "mistral"])


@st.composite
def plans(draw: st.DrawFn) -> ir.Plan:
    """Any plan whose backends are Services, each with one of its own; engines aren't polled."""
    names = draw(st.lists(NAMES, min_size=1, max_size=6, unique=True).filter(lambda found: not set(found) & _OWNERS))
    backends = tuple(
        ir.Backend(
            name,
            ir.ServiceRef(f"service-{index}", draw(st.sampled_from(["inference", "engines"])), 8000),
            owner=draw(OWNERS),
            models=tuple(draw(st.lists(MODELS, unique=True, max_size=2))),
        )
        for index, name in enumerate(names)
    )
    paths = draw(st.lists(PATHS, min_size=1, max_size=4, unique=True))
    if draw(st.booleans()):
        paths += [f"/v1/many/{index}" for index in range(draw(st.integers(0, 140)))]
    bearable = st.sampled_from([*names, *sorted({backend.owner or "" for backend in backends})])
    plan = replace(
        TWO_ENGINES,
        paths=tuple(paths),
        backends=backends,
        rules=draw(chains(any_rule(bearable, SOURCES, st.just(())), least=1, most=4)),
        models=Models(interval=15, timeout=2, unknown=draw(st.sampled_from(["reject", "allow"]))),
        passthrough=tuple(draw(st.lists(_passthrough(st.sampled_from(names)), max_size=3, unique_by=lambda e: e.path))),
        by_headers=tuple(draw(st.lists(OPENED, max_size=2, unique_by=lambda entry: entry.path))),
    )
    plan = with_gateway(plan, create=draw(st.booleans()))
    return with_router(plan, failure_backend=draw(st.none() | st.sampled_from(names)))


OPENED = st.builds(
    Opened,
    path=st.sampled_from(["/v1/realtime", "/v1/responses/*", "/v1/sessions/*"]),
    method=st.sampled_from(["GET", "POST", "DELETE"]),
)
_OWNERS = {"vllm", "sglang", "trtllm"}


def _passthrough(names: st.SearchStrategy[str]) -> st.SearchStrategy[ir.Passthrough]:
    path = st.sampled_from(["/tokenize", "/health", "/realtime/*", "/v1/audio/*", "/v1/*", "/*"])
    return st.builds(ir.Passthrough, path=path, method=st.sampled_from(["GET", "POST"]), backend=names)
