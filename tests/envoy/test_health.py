"""Health checks of the gateway itself, through a real Envoy."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from routegen.plan import Addresses, Plan
from support.engines import refusing
from support.envoy import VERSIONS
from support.gateway import Gateway, gateway
from support.router import wait_for

ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: health}
spec:
  gateway: {target: envoy}
  passthrough: [{path: /ping, method: GET, backend: b}]
  models: {poll: {interval: 500ms, timeout: 500ms}}
  backends:
    a: {endpoints: [127.0.0.1:8001], ownedBy: vllm}
    b: {endpoints: [127.0.0.1:8002], ownedBy: sglang}
"""


@pytest.fixture(scope="module", params=VERSIONS)
def running(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    with gateway(ROUTES, {"a": ["m"], "b": ["m"]}, version=request.param) as started:
        yield started


@pytest.mark.parametrize("path", ["/health", "/healthz", "/health?x=1"])
def test_the_router_answers_and_no_engine_hears_of_it(running: Gateway, path: str) -> None:
    running.forget()
    reply = running.request("GET", path)
    assert (reply.status, reply.json) == (200, {"status": "ok"})
    assert reply.header("x-inference-server") is None
    head = running.request("HEAD", path)
    assert (head.status, head.body) == (200, b"")
    assert not [one for engine in running.engines.values() for one in engine.recorder.requests if "health" in one.path]


def test_nothing_else_is_served_there(running: Gateway) -> None:
    for method, path in (("POST", "/health"), ("GET", "/health/"), ("GET", "/healthzz"), ("DELETE", "/ping")):
        assert (running.request(method, path).status, running.request(method, path).code) == (404, "not_found")


def test_a_configured_passthrough_wins(running: Gateway) -> None:
    running.forget()
    assert running.request("GET", "/ping").status == 404  # the mock engine's own
    assert running.reached()["b"] == 1
    assert running.request("HEAD", "/ping").status == 200


def test_a_good_answer_is_in_no_log(running: Gateway) -> None:
    assert running.router is not None
    running.request("GET", "/health", headers=[("x-request-id", "healthy")])
    running.request("GET", "/v1/models", headers=[("x-request-id", "after-it")])
    assert running.envoy.logged("after-it")["status"] == 200
    assert "healthy" not in {entry["request_id"] for entry in running.envoy.entries()}
    wait_for(lambda: "after-it" in ids(running), "the router to log what came after it")
    assert "healthy" not in ids(running)


def ids(running: Gateway) -> set[object]:
    """The request ids in the router's log."""
    assert running.router is not None
    return {entry.get("request_id") for entry in running.router.logged("decision")}


def test_without_any_engine_it_is_503_with_a_reason() -> None:
    with refusing() as one, refusing() as other:

        def nobody(plan: Plan) -> Plan:
            backends = tuple(
                dataclasses.replace(backend, reach=Addresses((at,)), poll_urls=(f"http://{at[0]}:{at[1]}/v1/models",))
                for backend, at in zip(plan.backends, (one, other), strict=True)
            )
            return dataclasses.replace(plan, backends=backends)

        with gateway(ROUTES, {"a": ["m"], "b": ["m"]}, adjust=nobody) as running:
            reply = running.request("GET", "/health", headers=[("x-request-id", "dead")])
            assert (reply.status, reply.code) == (503, "no_engine")
            assert running.envoy.logged("dead")["reject"] == "no_engine"
