"""A second choice where an engine refuses the connection: for choices that nobody made by name, and for no others."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from routegen.plan import Addresses
from support.engines import refusing
from support.envoy import VERSIONS
from support.gateway import Gateway, first_backend, gateway
from support.serving import answering

ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: failover}
spec:
  gateway: {target: envoy}
  failover: {FAILOVER}
  models: {poll: {enabled: false}}
  backends:
    dead: {endpoints: [127.0.0.1:8001], ownedBy: vllm, models: [both, only-dead, shared]}
    b: {endpoints: [127.0.0.1:8002], ownedBy: sglang, models: [both]}
    c: {endpoints: [127.0.0.1:8003], ownedBy: vllm, models: [both, shared]}
  rules:
    - body: inference_server
    - when: {header: {x-tenant: gold}}
      prefer: [dead]
    - split: {dead: 8, b: 1, c: 1}
"""
SERVED = ["both", "shared"]
MODELS = {"dead": SERVED, "b": SERVED, "c": SERVED}


@pytest.fixture(scope="module", params=VERSIONS)
def failing(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    """A gateway whose first backend refuses connections, which the router doesn't know."""
    with (
        refusing() as address,
        gateway(
            ROUTES.replace("FAILOVER", "enabled: true"),
            MODELS,
            version=request.param,
            adjust=first_backend(reach=Addresses((address,))),
        ) as running,
    ):
        yield running


def body(size: int, **fields: str) -> bytes:
    head = {"model": "both", **fields, "messages": [{"role": "user", "content": ""}]}
    empty = json.dumps(head)
    return json.dumps(head | {"messages": [{"role": "user", "content": "x" * (size - len(empty))}]}).encode()


@pytest.mark.parametrize("size", [1024, 2 << 20, 31 << 20])
def test_a_split_goes_on_without_its_dead_engine_and_bodies_arrive_whole(failing: Gateway, size: int) -> None:
    failing.forget()
    data, many = body(size), 30 if size < 1 << 20 else 4
    answered: Counter[str | None] = Counter()
    for _ in range(many):
        reply = failing.post(data)
        assert reply.status == 200, reply
        answered[reply.header("x-inference-server")] += 1
    assert set(answered) <= {"b", "c"}
    for name in ("b", "c"):
        received = [one for one in failing.engines[name].recorder.requests if one.path == "/v1/chat/completions"]
        assert len(received) == answered[name]
        assert {one.sha256 for one in received} <= {hashlib.sha256(data).hexdigest()}


@pytest.mark.parametrize(("fields", "status"), [({"inference_server": "dead"}, 503), ({"model": "only-dead"}, 503)])
def test_who_was_named_or_is_the_only_one_fails_as_before(
    failing: Gateway, fields: dict[str, str], status: int
) -> None:
    failing.forget()
    for _ in range(5):
        reply = failing.post({"model": "both", **fields})
        assert (reply.status, reply.code) == (503, "engine_unavailable")
    assert failing.reached() == {"dead": 0, "b": 0, "c": 0}


def test_an_owner_is_not_left(failing: Gateway) -> None:
    failing.forget()
    for _ in range(20):
        assert failing.post({"model": "both", "inference_server": "vllm"}).header("x-inference-server") == "c"
    assert failing.reached() == {"dead": 0, "b": 0, "c": 20}


def test_a_preference_gives_way_to_what_stands_behind_it(failing: Gateway) -> None:
    failing.forget()
    for _ in range(20):
        assert failing.post({"model": "both"}, headers=[("x-tenant", "gold")]).status == 200
    assert failing.reached()["dead"] == 0


def test_only_an_engine_that_serves_the_model_is_a_second_choice(failing: Gateway) -> None:
    failing.forget()
    for _ in range(20):
        assert failing.post({"model": "shared"}).header("x-inference-server") == "c"
    assert failing.reached()["b"] == 0


def test_what_may_continue_a_conversation_that_one_engine_remembers_fails(failing: Gateway) -> None:
    statuses = {failing.post({"model": "shared"}, path="/v1/responses").status for _ in range(20)}
    assert 503 in statuses


def test_the_access_log_names_who_answered(failing: Gateway) -> None:
    seen = set()
    for index in range(12):
        reply = failing.post({"model": "shared"}, headers=[("x-request-id", f"failover-{index}")])
        entry = failing.envoy.logged(f"failover-{index}")
        assert (entry["backend"], entry["status"], reply.status) == ("c", 200, 200)
        seen.add(entry["route"])
    assert "second/dead/c" in seen


@pytest.mark.parametrize("value", ["b", "c", "dead"])
def test_a_client_cannot_name_a_second_choice(failing: Gateway, value: str) -> None:
    failing.forget()
    headers = [("second", value), ("x-inference-server", value), ("x-routegen-second", value)]
    reply = failing.post({"model": "both", "inference_server": "dead"}, headers=headers)
    assert reply.status == 503
    assert failing.reached() == {"dead": 0, "b": 0, "c": 0}


def test_switched_off_it_fails_as_before() -> None:
    with (
        refusing() as address,
        gateway(
            ROUTES.replace("FAILOVER", "enabled: false"),
            MODELS,
            adjust=first_backend(reach=Addresses((address,))),
        ) as running,
    ):
        assert 503 in {running.post({"model": "both"}).status for _ in range(20)}


@pytest.mark.parametrize(
    ("settings", "first", "status"),
    [
        ("enabled: true", 503, 503),
        ("enabled: true", 429, 429),
        ("enabled: true", 0, 503),
        ("statuses: [503]", 503, 200),
        ("statuses: [503]", 429, 429),
        ("statuses: [429, 503]", 429, 200),
        ("statuses: [429, 503]", 500, 500),
        ("reset: true", 0, 200),
        ("reset: true", 503, 503),
    ],
)
def test_what_an_engine_answered_counts_only_where_the_file_says_so(settings: str, first: int, status: int) -> None:
    with (
        answering(first) as address,
        gateway(
            ROUTES.replace("FAILOVER", settings).replace("dead: 8", "dead: 1000000"),
            MODELS,
            adjust=first_backend(reach=Addresses((address,))),
        ) as running,
    ):
        assert {running.post({"model": "both"}).status for _ in range(5)} == {status}
        named = running.post({"model": "both", "inference_server": "dead"}).status
        assert named == (first or 503)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_hundred_at_once_are_all_saved(version: str) -> None:
    """Envoy lets three requests at a time be tried again, unless it is told otherwise."""
    with (
        refusing() as address,
        gateway(
            ROUTES.replace("FAILOVER", "enabled: true").replace("dead: 8", "dead: 1000000"),
            MODELS,
            version=version,
            adjust=first_backend(reach=Addresses((address,))),
        ) as running,
        ThreadPoolExecutor(100) as clients,
    ):
        replies = list(clients.map(lambda _: running.post({"model": "both"}), range(300)))
    assert Counter(reply.status for reply in replies) == {200: 300}
