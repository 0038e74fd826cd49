"""Rendered HTTPRoutes and the router lead each request to one backend, whatever the client's routing header says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routegen import plan as ir
from routegen.emit.router_config import router_config
from routegen.pipeline import render
from routegen.targets import TARGETS, find
from routegen_router.decide import Route, decide
from routegen_router.request import Facts
from support.gateway_api import Answered, Fault, Forwarded, Request, SimulatedGateway
from support.plans import PATHS, plans, with_gateway, with_router
from support.policy import view

HEADER = "x-inference-server"
GATEWAYS = [name for name in TARGETS if find(name).capabilities.creates_gateway]
each_gateway = pytest.mark.parametrize("target", GATEWAYS)


def gateway(plan: ir.Plan, target: str) -> SimulatedGateway:
    """The plan's objects at work."""
    documents = tuple(document.document for document in render(with_gateway(plan, target=target)).documents)
    return SimulatedGateway(documents, plan.routing_header)


@st.composite
def cases(draw: st.DrawFn) -> tuple[ir.Plan, Facts, float]:
    """A plan, what a request to one of its paths says, and the router's random number."""
    plan = draw(plans())
    value = st.sampled_from([*(backend.name for backend in plan.backends), "vllm", "sglang", "nobody"])
    field, header = draw(st.none() | value), draw(st.none() | value)
    facts = Facts(
        path=draw(st.sampled_from(plan.paths)),
        model=draw(st.none() | st.sampled_from(["llama", "qwen", "mistral", "gpt"])),
        fields={} if field is None else {("inference_server",): field},
        headers={} if header is None else {"x-engine": header},
    )
    return plan, facts, draw(st.floats(0, 1, exclude_max=True))


def requests(plan: ir.Plan, path: str) -> Iterator[Request]:
    """One without a routing header, and one with every header that a client may think of."""
    names = [backend.name for backend in plan.backends]
    yield Request("POST", path)
    for name in (*names, "nobody", ""):
        yield Request("POST", path, (("X-Inference-Server", name),))
        yield Request("POST", path, ((HEADER, name), (HEADER, names[0])))


def service(plan: ir.Plan, name: str) -> tuple[tuple[str, str], ...]:
    """How the backend of that name is referred to."""
    reach = plan.backend(name).reach
    assert isinstance(reach, ir.ServiceRef)
    return (("Service", reach.name),)


@each_gateway
@settings(max_examples=50)
@given(cases())
def test_a_request_reaches_the_backend_that_was_decided_and_no_other(
    target: str, case: tuple[ir.Plan, Facts, float]
) -> None:
    plan, facts, point = case
    config = router_config(plan)
    decision = decide(facts, config, view(config), lambda: point)
    at_work = gateway(plan, target)
    for request in requests(plan, facts.path):
        if isinstance(decision, Route):
            name = decision.backend
            assert at_work.handle(request, name) == Forwarded(service(plan, name), (name,), name)
        else:
            assert at_work.handle(request, Fault.REFUSES) == Answered("router")


@each_gateway
@settings(max_examples=50)
@given(plans(), st.data())
def test_without_a_decision_a_request_goes_where_the_operator_said(
    target: str, plan: ir.Plan, data: st.DataObject
) -> None:
    plan = with_gateway(plan, create=True)
    at_work, fallback = gateway(plan, target), plan.router.failure_backend
    for request in requests(plan, data.draw(st.sampled_from(plan.paths))):
        stopped, silent = at_work.handle(request, Fault.STOPPED), at_work.handle(request, Fault.SILENT)
        if fallback is None:
            assert (stopped, silent) == (Answered("gateway"), Answered("nowhere"))
        else:
            assert stopped == silent == Forwarded(service(plan, fallback), (), None)


@each_gateway
@settings(max_examples=50)
@given(plans(), st.data())
def test_on_somebody_elses_gateway_a_stopped_router_lets_nothing_through(
    target: str, plan: ir.Plan, data: st.DataObject
) -> None:
    plan = with_router(with_gateway(plan, create=False), failure_backend=None)
    at_work = gateway(plan, target)
    for request in requests(plan, data.draw(st.sampled_from(plan.paths))):
        assert at_work.handle(request, Fault.STOPPED) == Answered("gateway")


@each_gateway
@settings(max_examples=50)
@given(plans(), PATHS | st.sampled_from(["/", "/metrics", "/v1/models", "/v1/models/a/b", "/v1/modelsx", "/tokenize"]))
def test_nothing_but_paths_and_passthrough_reaches_an_engine(target: str, plan: ir.Plan, path: str) -> None:
    at_work = gateway(plan, target)
    for method in ("GET", "HEAD", "POST", "DELETE"):
        if method == "POST" and path in plan.paths:
            continue
        outcome = at_work.handle(Request(method, path, ((HEADER, plan.backends[0].name),)), Fault.REFUSES)
        if f"{path}/".startswith("/v1/models/") and method in {"GET", "HEAD"}:
            assert outcome == Answered("router")
            continue
        opened = [entry for entry in plan.passthrough if entry.method == method and _opens(entry.path, path)]
        if opened:
            assert isinstance(outcome, Forwarded)
            assert outcome.refs in [service(plan, entry.backend) for entry in opened]
            assert (outcome.request_headers, outcome.named) == ((), None)
        else:
            assert outcome == Answered("compare-not-found" if plan.gateway.create else "nobody")


def _opens(pattern: str, path: str) -> bool:
    return path == pattern or (pattern.endswith("/*") and f"{path}/".startswith(pattern.removesuffix("*")))
