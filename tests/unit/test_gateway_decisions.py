"""Rendered HTTPRoutes and the router lead each request to one backend, whatever the client's routing header says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from routegen import plan as ir
from routegen.emit.router_config import router_config
from routegen.targets.envoy_gateway import render
from routegen_router.decide import Facts, Route, decide
from routegen_router.models import Snapshot
from support.gateway_api import Answered, Forwarded, Request, SimulatedGateway, Stopped
from support.plans import PATHS, plans

HEADER = "x-inference-server"


def gateway(plan: ir.Plan) -> SimulatedGateway:
    """The plan's objects at work."""
    documents = tuple(document.document for document in render(plan).documents)
    return SimulatedGateway(documents, plan.routing_header)


@st.composite
def cases(draw: st.DrawFn) -> tuple[ir.Plan, Request, Facts, float]:
    """A plan, a request to one of its paths, what its body says, and the router's random number."""
    plan = draw(plans())
    names = [backend.name for backend in plan.backends]
    value = st.sampled_from([*names, "vllm", "sglang", "nobody"])
    forged = draw(st.lists(st.tuples(st.sampled_from([HEADER, "X-Inference-Server"]), value), max_size=2))
    engine = draw(st.none() | value)
    headers = [*forged, *([("x-engine", engine)] if engine is not None else [])]
    request = Request("POST", draw(st.sampled_from(plan.paths)), tuple(headers))
    field = draw(st.none() | value)
    facts = Facts(
        path=request.path,
        model=draw(st.none() | st.sampled_from(["llama", "qwen", "mistral", "gpt"])),
        fields={} if field is None else {("inference_server",): field},
        headers={} if engine is None else {"x-engine": engine},
    )
    return plan, request, facts, draw(st.floats(0, 1, exclude_max=True))


@given(cases())
def test_a_request_reaches_the_backend_that_was_decided_and_no_other(
    case: tuple[ir.Plan, Request, Facts, float],
) -> None:
    plan, request, facts, point = case
    config = router_config(plan)
    decision = decide(facts, config, Snapshot.of(config), lambda: point)
    decided = decision.backend if isinstance(decision, Route) else None
    outcome = gateway(plan).handle(request, lambda _: decided)
    if decided is None:
        assert outcome == Answered("router")
    else:
        reach = plan.backend(decided).reach
        assert isinstance(reach, ir.ServiceRef)
        assert outcome == Forwarded((("Service", reach.name),), (decided,), decided)


@given(cases())
def test_without_a_router_a_request_goes_where_the_operator_said_whatever_the_client_says(
    case: tuple[ir.Plan, Request, Facts, float],
) -> None:
    plan, request, _, _ = case

    def stopped(_: Request) -> str | None:
        raise Stopped

    outcome = gateway(plan).handle(request, stopped)
    fallback = plan.router.failure_backend
    if fallback is None:
        assert outcome == Answered("gateway")
    elif plan.gateway.create:
        reach = plan.backend(fallback).reach
        assert isinstance(reach, ir.ServiceRef)
        assert outcome == Forwarded((("Service", reach.name),), (), None)


@given(plans(), PATHS | st.sampled_from(["/", "/metrics", "/v1/models", "/v1/models/a/b", "/v1/modelsx", "/tokenize"]))
def test_nothing_but_paths_and_passthrough_reaches_an_engine(plan: ir.Plan, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        if method == "POST" and path in plan.paths:
            continue
        request = Request(method, path, ((HEADER, plan.backends[0].name),))
        outcome = gateway(plan).handle(request, lambda _: None)
        opened = [entry for entry in plan.passthrough if entry.method == method and _opens(entry.path, path)]
        if path in {"/v1/models", "/v1/models/a/b"} and method == "GET" and not opened:
            assert outcome == Answered("router")
        elif not opened:
            assert outcome == Answered("compare-not-found" if plan.gateway.create else "nobody")
        elif isinstance(outcome, Forwarded):
            assert outcome.request_headers == ()
            assert outcome.named is None


def _opens(pattern: str, path: str) -> bool:
    return path == pattern or (pattern.endswith("/*") and f"{path}/".startswith(pattern.removesuffix("*")))
