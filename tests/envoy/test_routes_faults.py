"""What clients get when something is broken: the router, an engine, the request itself."""

from __future__ import annotations

import dataclasses
import json
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from routegen.compile import compile_text
from routegen.emit import limits
from routegen.emit.router_config import router_config
from routegen.mock_engine import Behaviour, Fault
from routegen.plan import Addresses, Plan
from support.engines import engine as small_engine
from support.engines import refusing
from support.envoy import VERSIONS
from support.fake_router import Fault as RouterFault
from support.fake_router import fake_router, unavailable_router
from support.gateway import Gateway, Reply, first_backend, gateway
from support.router import running as a_router
from support.router import wait_for

ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: faults}
spec:
  gateway: {target: envoy}
  backends:
    vllm: {endpoints: [127.0.0.1:8001], ownedBy: vllm, models: [m]}
    sglang: {endpoints: [127.0.0.1:8002], ownedBy: sglang, models: [m]}
"""
FAIL_OPEN = ROUTES.replace("  backends:", "  router: {failure: {backend: sglang}}\n  backends:")
MODELS = {"vllm": ["m"], "sglang": ["m"]}


def ask(gate: Gateway, engine: str, *headers: tuple[str, str]) -> Reply:
    """Ask for an engine by its name."""
    return gate.post({"model": "m", "inference_server": engine}, headers=headers)


def seen(reply: Reply) -> tuple[int, str | None, str | None]:
    """Status, error code, and the engine that the answer names."""
    return reply.status, None if reply.status == 200 else reply.code, reply.header("x-inference-server")


@pytest.fixture(scope="module", params=VERSIONS)
def running(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    with gateway(ROUTES, MODELS, version=request.param) as started:
        yield started


@pytest.fixture
def gate(running: Gateway) -> Iterator[Gateway]:
    running.forget()
    yield running
    for one in running.engines.values():
        one.behaviour = Behaviour(models=("m",))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("fault", ["aborts", "confused"])
def test_a_failing_router_is_503_and_its_words_stay_inside(fault: RouterFault, version: str) -> None:
    with fake_router(fault) as address, gateway(ROUTES, MODELS, version=version, routers=[address]) as gate:
        reply = ask(gate, "vllm")
        assert seen(reply) == (503, "router_unavailable", None)
        assert b"prompt" not in reply.body
        assert gate.reached() == {"vllm": 0, "sglang": 0}


def test_a_router_that_never_answers_is_504() -> None:
    with fake_router("silent") as address, gateway(ROUTES, MODELS, routers=[address]) as gate:
        assert seen(ask(gate, "vllm")) == (504, "gateway_timeout", None)


def test_one_dead_worker_of_two_costs_no_request() -> None:
    with refusing() as (host, port), gateway(ROUTES, MODELS) as alive:
        assert alive.router is not None
        with gateway(ROUTES, MODELS, routers=[f"{host}:{port}", alive.router.address]) as gate:
            assert {ask(gate, "vllm").status for _ in range(50)} == {200}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_worker_that_hangs_costs_seconds_and_no_request(version: str) -> None:
    with gateway(ROUTES, MODELS) as other:
        assert other.router is not None
        with (
            gateway(ROUTES, MODELS, version=version, beside=[other.router.address]) as gate,
            ThreadPoolExecutor(8) as pool,
        ):
            ask(gate, "vllm")
            other.router.process.send_signal(signal.SIGSTOP)
            try:
                assert {reply.status for reply in pool.map(lambda _: ask(gate, "vllm"), range(40))} == {200}
            finally:
                other.router.process.send_signal(signal.SIGCONT)


def test_an_engine_gets_no_more_requests_than_the_gateway_holds_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PARALLEL", 1)
    with gateway(ROUTES, MODELS) as gate, ThreadPoolExecutor(1) as pool:
        gate.engines["vllm"].behaviour = Behaviour(models=("m",), ttft=1.0)
        first = pool.submit(ask, gate, "vllm")
        wait_for(lambda: gate.reached()["vllm"], "the first request to reach the engine")
        assert seen(ask(gate, "vllm")) == (503, "engine_overloaded", "vllm")
        assert seen(ask(gate, "sglang")) == (200, None, "sglang")
        assert first.result().status == 200


def test_a_router_that_dies_just_after_another_came_back_costs_at_most_one_request(tmp_path: Path) -> None:
    """Envoy collects changes of health for a second unless told otherwise: it went on asking the dead one alone."""
    config = router_config(compile_text(ROUTES.replace("ownedBy", "poll: {enabled: false}, ownedBy"), "routes.yaml"))
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
    with (
        a_router(folders[1], config) as second,
        a_router(folders[0], config) as first,
        gateway(ROUTES, MODELS, routers=[first.address, second.address]) as gate,
    ):
        healthy = "cluster.router.membership_healthy"
        wait_for(lambda: gate.envoy.stat(healthy) == 2, "both routers")
        first.stop(signal.SIGKILL)
        wait_for(lambda: ask(gate, "vllm").status == 200 and gate.envoy.stat(healthy) == 1, "one to be missed")
        with a_router(folders[0], config, listen=[first.address]):
            wait_for(lambda: gate.envoy.stat(healthy) == 2, "it to be back")
            second.stop(signal.SIGKILL)
            statuses = [ask(gate, "vllm").status for _ in range(50)]
    assert statuses.count(200) >= 49


@pytest.mark.parametrize("version", VERSIONS)
def test_before_the_engines_have_told_their_models_an_unknown_one_is_503_and_not_a_guess(version: str) -> None:
    with refusing() as (host, port):
        one_is_silent = first_backend(poll_urls=(f"http://{host}:{port}/v1/models",), models=())
        with gateway(ROUTES, MODELS, version=version, adjust=one_is_silent, complete=False) as gate:
            reply = gate.post({"model": "other"})
            assert seen(reply) == (503, "registry_incomplete", None)
            assert gate.request("GET", "/v1/models/other").code == "registry_incomplete"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_dead_engine_is_503_and_the_answer_names_it(version: str) -> None:
    with (
        refusing() as dead,
        gateway(ROUTES, MODELS, version=version, adjust=first_backend(reach=Addresses((dead,)))) as gate,
    ):
        reply = ask(gate, "vllm")
        assert seen(reply) == (503, "engine_unavailable", "vllm")
        entry = gate.envoy.logged(reply.header("x-request-id") or "")
        assert (entry["route"], entry["backend"], entry["rule"]) == ("engine/vllm", "vllm", "body:inference_server")
        assert "UF" in entry["flags"]
        assert seen(ask(gate, "sglang")) == (200, None, "sglang")


def test_an_endpoint_that_refuses_connections_is_stepped_over() -> None:
    with refusing() as dead:

        def add_dead(plan: Plan) -> Plan:
            first, *others = plan.backends
            assert isinstance(first.reach, Addresses)
            both = Addresses((dead, *first.reach.endpoints))
            return dataclasses.replace(plan, backends=(dataclasses.replace(first, reach=both), *others))

        with gateway(ROUTES, MODELS, adjust=add_dead) as gate:
            assert {ask(gate, "vllm").status for _ in range(20)} == {200}


def test_an_engines_own_errors_pass_untouched_and_are_not_repeated(gate: Gateway) -> None:
    engine = gate.engines["vllm"]
    for status in (404, 429, 500, 503):
        gate.forget()
        engine.behaviour = Behaviour(models=("m",), fault=Fault("status", status))
        reply = ask(gate, "vllm")
        assert (reply.status, reply.header("x-inference-server")) == (status, "vllm")
        assert b"This mock engine was told to fail." in reply.body
        assert gate.reached() == {"vllm": 1, "sglang": 0}


def test_a_generation_that_breaks_off_is_not_started_twice(gate: Gateway) -> None:
    gate.engines["vllm"].behaviour = Behaviour(models=("m",), fault=Fault("reset"))
    assert seen(ask(gate, "vllm")) == (503, "engine_unavailable", "vllm")
    assert gate.reached() == {"vllm": 1, "sglang": 0}


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"POST /v1/completions HTTP/1.1\r\ncontent-length: 0\r\n\r\n", 400),
        (b"POST /v1/completions HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", 400),
        (b"POST /v1/completions HTTP/1.1\r\nhost: h\r\nx: " + b"y" * 70_000 + b"\r\n\r\n", 431),
    ],
)
def test_what_is_not_valid_http_gets_openais_shape_too(gate: Gateway, head: bytes, status: int) -> None:
    with socket.create_connection(("127.0.0.1", gate.port), timeout=10) as client:
        client.sendall(head)
        answer = b""
        with suppress(ConnectionResetError):  # Envoy leaves some of what is too long unread
            while piece := client.recv(65536):
                answer += piece
    top, _, content = answer.partition(b"\r\n\r\n")
    assert top.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"content-type: application/json" in top
    assert json.loads(content)["error"]["code"] == "bad_request"


def test_envoys_health_check_asks_an_engine_nothing_and_finds_the_address_where_nobody_listens() -> None:
    with small_engine(lambda request: request.answer(503, b"busy")) as bare, refusing() as nobody:
        two_addresses = first_backend(reach=Addresses((("127.0.0.1", bare.port), nobody)), poll_urls=())
        with gateway(ROUTES, MODELS, adjust=two_addresses) as gate:
            stat = "cluster.engine/vllm.health_check"
            wait_for(lambda: gate.envoy.stat(f"{stat}.success") >= 2, "two health checks")
            wait_for(lambda: gate.envoy.stat(f"{stat}.failure") >= 2, "two of nobody")
            assert gate.envoy.stat("cluster.engine/vllm.membership_healthy") == 1
            assert bare.asked == []


@pytest.mark.parametrize("version", VERSIONS)
def test_with_a_failure_backend_a_dead_router_sends_everything_there_and_says_so(version: str) -> None:
    with gateway(FAIL_OPEN, MODELS, version=version) as gate:
        assert seen(ask(gate, "vllm")) == (200, None, "vllm")
        assert seen(ask(gate, "gold")) == (400, "unknown_inference_server", None)  # a refusal is no failure
        assert gate.router is not None
        gate.router.stop()
        gate.forget()
        body = json.dumps({"model": "m", "inference_server": "vllm", "user": "x" * (4 << 20)}).encode()
        for headers in ([], [("x-inference-server", "vllm")]):
            reply = gate.post(body, headers=headers)
            assert seen(reply) == (200, None, "sglang")
            entry = gate.envoy.logged(reply.header("x-request-id") or "")
            assert (entry["route"], entry["backend"], entry["rule"]) == ("waiting", "sglang", None)
        assert gate.reached() == {"vllm": 0, "sglang": 2}
        [first, _] = gate.engines["sglang"].recorder.generations()
        assert first.body == body
        assert gate.request("GET", "/v1/models").code == "router_unavailable"


@pytest.mark.parametrize("fault", ["aborts", "closes", "confused"])
def test_with_a_failure_backend_a_confused_router_is_stepped_over(fault: RouterFault) -> None:
    with fake_router(fault) as address, gateway(FAIL_OPEN, MODELS, routers=[address]) as gate:
        assert seen(ask(gate, "vllm")) == (200, None, "sglang")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_router_that_has_just_started_costs_no_request(version: str) -> None:
    """Envoy takes it for ready, as it does where it has been restarted between two health checks."""
    with (
        unavailable_router() as (starting, asked),
        gateway(ROUTES, MODELS, version=version, beside=[starting]) as gate,
    ):
        wait_for(lambda: gate.envoy.stat("cluster.router.membership_healthy") == 2, "Envoy to take both for ready")
        for _ in range(20):
            assert gate.post({"model": "m"}).status == 200
            assert gate.request("GET", "/v1/models").status == 200
        assert asked


@pytest.mark.parametrize("version", VERSIONS)
def test_a_lone_router_that_has_just_started_is_a_router_that_is_unavailable(version: str) -> None:
    with (
        unavailable_router() as (starting, asked),
        gateway(ROUTES, MODELS, version=version, routers=[starting]) as gate,
    ):
        for reply in (gate.post({"model": "m"}), gate.request("GET", "/v1/models")):
            assert (reply.status, reply.code) == (503, "router_unavailable")
        assert asked
        assert set(gate.reached().values()) == {0}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("path", "size"), [("/v1/completions", 2_000_000), ("/tokenize", 500_000)])
def test_an_address_that_refuses_costs_no_request_where_there_is_another(path: str, size: int, version: str) -> None:
    """Read or passed through unread, with more of a body than Envoy reads at a time."""
    assert tried_where_one_refuses(path, size, version) == set()


@pytest.mark.parametrize("version", VERSIONS)
def test_an_unread_body_that_is_too_long_to_keep_fails_as_any_other(version: str) -> None:
    assert tried_where_one_refuses("/tokenize", 8_000_000, version) == {(503, "engine_unavailable", "vllm")}


def tried_where_one_refuses(path: str, size: int, version: str) -> set[tuple[int, str | None, str | None]]:
    """How requests fail at a backend with two addresses of which one has just died."""
    opened = ROUTES.replace(
        "  backends:", "  passthrough: [{path: /tokenize, method: POST, backend: vllm}]\n  backends:"
    )
    body = json.dumps({"model": "m", "inference_server": "vllm", "prompt": "x" * size}).encode()
    with socket.create_server(("127.0.0.1", 0)) as dying:

        def and_the_dying(plan: Plan) -> Plan:
            reach = plan.backends[0].reach
            assert isinstance(reach, Addresses)
            return first_backend(reach=Addresses((("127.0.0.1", dying.getsockname()[1]), *reach.endpoints)))(plan)

        with gateway(opened, MODELS, version=version, adjust=and_the_dying) as gate:
            wait_for(lambda: gate.envoy.stat("cluster.engine/vllm.membership_healthy") == 2, "both addresses")
            dying.close()
            replies = [gate.post(body, path=path) for _ in range(10)]
            assert gate.envoy.stat("cluster.engine/vllm.upstream_cx_connect_fail") > 0
    return {seen(reply) for reply in replies if reply.status not in {200, 404}}  # the mock engine has no /tokenize
