"""What target envoy-gateway renders, at work in a real Envoy that is configured as Envoy Gateway would configure it."""

from __future__ import annotations

import json
import signal
import socket
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from routegen.compile import compile_text
from routegen.emit.router_config import router_config
from routegen.plan import Addresses, Passthrough, Plan
from routegen_router import config
from support.envoy import VERSIONS
from support.fake_router import fake_router
from support.forwarding import forwarder
from support.gateway import Gateway, first_backend
from support.imitated import imitated
from support.router import running, wait_for
from support.serving import answering

HEADER = "x-inference-server"
MIB = 1 << 20
ROUTES = """
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: pair}
spec:
  maxBodyBytes: 8Mi
  backends:
    vllm: {service: {name: v, port: 8000}, ownedBy: vllm}
    sglang: {service: {name: s, port: 8000}, ownedBy: sglang}
  rules: [{body: inference_server}, {split: {vllm: 1, sglang: 0}}]
"""
MODELS = {"vllm": ["llama", "org/qwen"], "sglang": ["llama"]}


def at_work(version: str, plan: Plan, instead: str | None = None, **more: Any) -> AbstractContextManager[Gateway]:
    """The two engines with their router and an Envoy in front."""
    return imitated(plan, MODELS, version=version, instead=instead, **more)


def two_engines() -> Plan:
    """The plan of :data:`ROUTES`."""
    return replace(compile_text(ROUTES, "routes.yaml"), passthrough=(Passthrough("/tokenize", "POST", "sglang"),))


@pytest.fixture(scope="module", params=VERSIONS)
def gateway(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    with at_work(request.param, two_engines()) as running_gateway:
        yield running_gateway


def forged(*values: str) -> list[tuple[str, str]]:
    """A client's own routing headers."""
    return [("X-Inference-Server", value) for value in values]


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
@pytest.mark.parametrize("headers", [[], forged("vllm"), forged("sglang", "vllm"), forged("nobody")])
def test_the_body_chooses_and_the_clients_header_does_not(
    gateway: Gateway, engine: str, headers: list[tuple[str, str]]
) -> None:
    gateway.forget()
    reply = gateway.post({"model": "llama", "inference_server": engine}, headers=headers)
    assert (reply.status, reply.header(HEADER)) == (200, engine)
    assert gateway.reached() == {"vllm": 0, "sglang": 0, engine: 1}


def test_a_header_alone_chooses_nothing(gateway: Gateway) -> None:
    gateway.forget()
    reply = gateway.post({"model": "llama"}, headers=[*forged("sglang"), ("x_inference_server", "sglang")])
    assert (reply.status, reply.header(HEADER)) == (200, "vllm")
    assert gateway.reached() == {"vllm": 1, "sglang": 0}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "invalid_json"),
        (b'{"model": "llama", "inference_server": "gold"}', 400, "unknown_inference_server"),
        (b'{"model": "org/qwen", "inference_server": "sglang"}', 400, "engine_model_mismatch"),
        (b'{"model": "gpt"}', 404, "model_not_found"),
    ],
)
def test_the_routers_refusals_reach_the_client_and_name_no_engine(
    gateway: Gateway, body: bytes, status: int, code: str
) -> None:
    gateway.forget()
    reply = gateway.post(body)
    assert (reply.status, reply.code, reply.header(HEADER)) == (status, code, None)
    assert gateway.reached() == {"vllm": 0, "sglang": 0}


def test_a_body_of_exactly_the_limit_passes_byte_for_byte(gateway: Gateway) -> None:
    gateway.forget()
    head, tail = b'{"model": "llama", "x": "', b'"}'
    body = head + b"x" * (8 * MIB - len(head) - len(tail)) + tail
    assert gateway.post(body).status == 200
    (seen,) = (one for one in gateway.engines["vllm"].recorder.requests if one.target == "/v1/chat/completions")
    assert seen.body == body


def test_one_byte_more_is_413(gateway: Gateway) -> None:
    assert gateway.post(b'"' + b"x" * (8 * MIB - 1) + b'"').code == "request_too_large"


def test_an_upload_that_never_comes_is_unknown_to_the_router(gateway: Gateway) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port)) as client:
        head = "POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\ncontent-length: 1000\r\n\r\n{"
        client.sendall(head.encode())
        wait_for(lambda: gateway.envoy.stat("http.http.downstream_rq_active"), "the upload to wait")
        assert gateway.request("POST", "/v1/chat/completions", iter([b"{", b"}"])).status == 200
        [received] = gateway.engines["vllm"].recorder.generations()[-1:]
        assert (received.body, received.header("content-length")) == (b"{}", ("2",))
        assert gateway.envoy.stat("cluster.router.upstream_rq_active") == 0


def test_the_router_answers_for_models_slashes_included(gateway: Gateway) -> None:
    listed = gateway.request("GET", "/v1/models").json["data"]
    assert {entry["id"] for entry in listed} == {"llama", "org/qwen"}
    assert gateway.request("GET", "/v1/models/org/qwen").json["id"] == "org/qwen"
    assert gateway.request("GET", "/v1/models/org%2Fqwen").json["id"] == "org/qwen"
    assert gateway.request("HEAD", "/v1/models").status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/chat/completions"), ("POST", "/metrics"), ("POST", "/v1/models"), ("GET", "/tokenize"), ("GET", "/")],
)
def test_what_is_not_served_is_404_in_json(gateway: Gateway, method: str, path: str) -> None:
    reply = gateway.request(method, path, b"{}", forged("vllm"))
    assert (reply.status, reply.code) == (404, "not_found")


def test_passthrough_reaches_its_engine_unread_and_without_the_routing_header(gateway: Gateway) -> None:
    gateway.forget()
    reply = gateway.request("POST", "/tokenize", b"not json", forged("vllm"))
    assert reply.header(HEADER) is None
    assert gateway.reached() == {"vllm": 0, "sglang": 1}
    (seen,) = (one for one in gateway.engines["sglang"].recorder.requests if one.target == "/tokenize")
    assert HEADER not in {name.lower() for name, _ in seen.headers}


@pytest.mark.parametrize("version", VERSIONS)
def test_without_the_router_nothing_reaches_an_engine(version: str) -> None:
    with at_work(version, two_engines()) as gateway:
        assert gateway.router is not None
        gateway.router.stop(signal.SIGKILL)
        for body in ({"model": "llama"}, {"model": "llama", "inference_server": "vllm"}):
            assert gateway.post(body, headers=forged("sglang")).code == "router_unavailable"
        assert gateway.request("GET", "/v1/models").code == "router_unavailable"
        assert gateway.reached() == {"vllm": 0, "sglang": 0}


@pytest.mark.parametrize("version", VERSIONS)
def test_without_the_router_a_failure_backend_gets_everything_and_is_not_called_decided(version: str) -> None:
    plan = two_engines()
    with at_work(version, replace(plan, router=replace(plan.router, failure_backend="sglang"))) as gateway:
        assert gateway.post({"model": "llama", "inference_server": "vllm"}).header(HEADER) == "vllm"
        assert gateway.post({"model": "gpt"}).code == "model_not_found"
        assert gateway.router is not None
        gateway.router.stop(signal.SIGKILL)
        gateway.forget()
        reply = gateway.post({"model": "llama", "inference_server": "vllm"}, headers=forged("vllm"))
        assert (reply.status, reply.header(HEADER)) == (200, None)
        assert gateway.reached() == {"vllm": 0, "sglang": 1}


@pytest.mark.parametrize("version", VERSIONS)
def test_where_nobody_removes_the_clients_header_the_router_still_overwrites_it(version: str) -> None:
    plan = two_engines()
    with at_work(version, replace(plan, gateway=replace(plan.gateway, create=False))) as gateway:
        for engine in ("vllm", "sglang"):
            gateway.forget()
            body = json.dumps({"model": "llama", "inference_server": engine}).encode()
            reply = gateway.post(body, headers=forged("sglang" if engine == "vllm" else "vllm"))
            assert (reply.status, reply.header(HEADER)) == (200, engine)
            assert gateway.reached() == {"vllm": 0, "sglang": 0, engine: 1}
        assert gateway.router is not None
        gateway.router.stop(signal.SIGKILL)
        assert gateway.post({"model": "llama"}, headers=forged("vllm")).status == 503


@pytest.mark.parametrize("version", VERSIONS)
def test_where_nobody_removes_it_no_answer_names_the_engine_that_the_client_did(version: str) -> None:
    plan = two_engines()
    plan = replace(plan, gateway=replace(plan.gateway, create=False))
    good, unknown = {"model": "llama", "inference_server": "sglang"}, {"inference_server": "gold"}
    with at_work(version, plan) as gateway:
        assert gateway.post(good, headers=forged("vllm")).header(HEADER) == "sglang"
        for body, status in ((unknown, 400), ({"model": "gpt"}, 404), (b"{", 400)):
            reply = gateway.post(body, headers=forged("vllm"))
            assert (reply.status, reply.header(HEADER)) == (status, None)
        assert gateway.router is not None
        gateway.router.stop(signal.SIGKILL)
        reply = gateway.post(good, headers=forged("vllm"))
        assert (reply.status, reply.header(HEADER)) == (503, None)
    for fault in ("closes", "aborts"):
        with fake_router(fault) as address, at_work(version, plan, address) as gateway:
            assert gateway.post(good, headers=forged("vllm")).header(HEADER) is None


@pytest.mark.parametrize("version", VERSIONS)
def test_an_engine_cannot_name_itself_as_somebody_else(version: str) -> None:
    with (
        answering(200, x_inference_server="sglang", X_Inference_Server="gold") as address,
        at_work(version, two_engines(), adjust=first_backend(reach=Addresses((address,)))) as gateway,
    ):
        assert gateway.post({"model": "llama", "inference_server": "vllm"}).header(HEADER) == "vllm"


@pytest.mark.parametrize("version", VERSIONS)
def test_where_nobody_removes_it_and_the_router_fails_the_clients_header_chooses_nothing(version: str) -> None:
    plan = two_engines()
    plan = replace(
        plan, gateway=replace(plan.gateway, create=False), router=replace(plan.router, failure_backend="sglang")
    )
    asked = {"model": "llama", "inference_server": "vllm"}
    with at_work(version, plan) as gateway:
        assert gateway.post(asked, headers=forged("sglang")).header(HEADER) == "vllm"
        assert gateway.router is not None
        gateway.router.stop(signal.SIGKILL)
        gateway.forget()
        assert gateway.post(asked, headers=forged("vllm")).status == 503
        assert gateway.post(asked).status == 200
        assert gateway.reached() == {"vllm": 0, "sglang": 1}
    with fake_router("aborts") as address, at_work(version, plan, address) as gateway:
        assert gateway.post(asked, headers=forged("vllm")).status == 503
        assert gateway.post(asked).status == 200
        assert gateway.reached() == {"vllm": 0, "sglang": 1}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_router_that_says_nothing_leaves_the_request_undecided(version: str) -> None:
    with fake_router("closes") as address, at_work(version, two_engines(), address) as gateway:
        for headers in ([], forged("vllm")):
            reply = gateway.post({"model": "llama", "inference_server": "vllm"}, headers=headers)
            assert (reply.status, reply.header(HEADER)) == (503, None)
        assert gateway.request("GET", "/v1/models").status == 503
        assert gateway.reached() == {"vllm": 0, "sglang": 0}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_router_that_fails_is_503_and_nothing_of_its_error_is_shown(version: str) -> None:
    with fake_router("aborts") as address, at_work(version, two_engines(), address) as gateway:
        reply = gateway.post({"model": "llama", "inference_server": "vllm"}, headers=forged("vllm"))
        assert (reply.status, reply.code) == (503, "router_unavailable")
        assert b"prompt" not in reply.body
        assert gateway.reached() == {"vllm": 0, "sglang": 0}


@pytest.mark.parametrize("version", VERSIONS)
def test_while_no_router_has_an_address_the_answer_is_503_and_says_why(version: str) -> None:
    with at_work(version, two_engines(), "") as gateway:
        for method, path in (("POST", "/v1/chat/completions"), ("GET", "/v1/models")):
            reply = gateway.request(method, path, b"{}", forged("vllm"))
            assert (reply.status, reply.code, reply.header(HEADER)) == (503, "router_unavailable", None)
        assert gateway.reached() == {"vllm": 0, "sglang": 0}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_router_on_a_node_that_goes_without_a_word_fails_no_request(version: str) -> None:
    """New connections to it are neither made nor refused: Envoy must give them up in time to ask another router."""
    plan = two_engines()
    with ExitStack() as stack:
        settings = config.load(config.dump(router_config(plan)))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="router-")))
        other = stack.enter_context(running(folder, settings))
        node = stack.enter_context(forwarder(other.address))
        gateway = stack.enter_context(at_work(version, plan, beside=[node.address]))
        wait_for(lambda: gateway.envoy.stat("cluster.router.membership_healthy") == 2, "both routers to be known")
        node.vanish()
        with ThreadPoolExecutor(20) as pool:
            replies = list(pool.map(lambda _: gateway.post(GOOD), range(20)))
        assert {reply.status for reply in replies} == {200}


DENY = {
    "kind": "SecurityPolicy",
    "metadata": {"name": "theirs"},
    "spec": {"authorization": {"defaultAction": "Deny"}},
}
LIMIT = {
    "kind": "BackendTrafficPolicy",
    "metadata": {"name": "theirs"},
    "spec": {"rateLimit": {"local": {"rules": [{"limit": {"requests": 1, "unit": "Hour"}}]}}},
}
GOOD = {"model": "llama", "inference_server": "sglang"}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("policy", "status"), [(DENY, 403), (LIMIT, 429)], ids=["denial", "rate limit"])
def test_policies_hold_for_what_the_router_refuses_and_no_refusal_names_an_engine(
    version: str, policy: Mapping[str, Any], status: int
) -> None:
    with at_work(version, two_engines(), more=[policy]) as gateway:
        for body in (GOOD, {"inference_server": "gold"}, b"{"):
            first, second = (gateway.post(body, headers=forged("vllm")) for _ in range(2))
            assert second.status == status
            assert second.header(HEADER) is None
            assert status != 403 or first.status == 403


@pytest.mark.parametrize("version", VERSIONS)
def test_behind_the_router_they_refuse_what_was_decided_and_that_names_the_decision(version: str) -> None:
    """Somebody else's Gateway without the lines of its EnvoyProxy, and without those of its clients."""
    plan = two_engines()
    plan = replace(plan, gateway=replace(plan.gateway, create=False))
    with at_work(version, plan, more=[DENY]) as gateway:
        assert gateway.post({"inference_server": "gold"}, headers=forged("vllm")).status == 400
        reply = gateway.post(GOOD, headers=forged("vllm"))
        assert (reply.status, reply.header(HEADER)) == (403, "sglang")
        assert gateway.reached() == {"vllm": 0, "sglang": 0}
