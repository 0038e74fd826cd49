"""InferencePools behind a real Envoy: the pool's endpoint picker is asked after the router's decision."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from support import pools
from support.encoded import encoded
from support.engines import refusing
from support.envoy import VERSIONS
from support.picker import Refusal
from support.pools import HOST, Pool


@pytest.fixture(scope="module", params=VERSIONS)
def pool(request: pytest.FixtureRequest) -> Iterator[Pool]:
    """One whose picker works, and which fails closed."""
    with pools.pool(version=request.param) as running:
        yield running


@pytest.fixture(autouse=True)
def _forget(pool: Pool) -> None:
    pool.forget()


@pytest.mark.parametrize("pod", ["two", "one"])
def test_a_request_goes_to_the_pod_that_the_picker_names(pool: Pool, pod: str) -> None:
    pool.picks(pod)
    reply = pool.post(messages=[{"role": "user", "content": "Zürich <b> "}])
    assert (reply.status, reply.header("x-inference-server")) == (200, "pool")
    assert pool.reached() == {pod}
    [received] = pool.pods[pod].recorder.generations()
    assert received.json["messages"] == [{"role": "user", "content": "Zürich <b> "}]
    assert received.header("content-length") == (str(len(received.body)),)
    assert received.header("x-made-up") == ()
    assert pool.logged(reply) == pool.address(pod)


@pytest.mark.parametrize("size", [1_000, 100_000, 1_000_000, 3_900_000])
def test_bodies_arrive_whole_though_the_picker_writes_them_anew(pool: Pool, size: int) -> None:
    pool.picks("two")
    sent = {"inference_server": "pool", "model": "m", "messages": [], "pad": "é" * (size // 6)}
    assert pool.gateway.post(sent, headers=HOST).status == 200
    [received] = pool.pods["two"].recorder.generations()
    assert received.json == sent


def test_a_chunked_upload_arrives_whole(pool: Pool) -> None:
    pool.picks("one")
    pieces = [b'{"inference_server": "pool", ', b'"model": "m", "n": [', b"1, " * 50_000, b"1]}"]
    headers = [*HOST, ("content-type", "application/json")]
    assert pool.gateway.request("POST", "/v1/chat/completions", iter(pieces), headers).status == 200
    [received] = pool.pods["one"].recorder.generations()
    assert received.json == json.loads(b"".join(pieces))


def test_an_answer_is_streamed(pool: Pool) -> None:
    pool.picks("two")
    reply = pool.post(stream=True)
    assert reply.header("content-type") == "text/event-stream; charset=utf-8"
    assert reply.body.endswith(b"data: [DONE]\n\n")


def test_a_body_that_the_picker_does_not_take_is_413_with_its_limit(pool: Pool) -> None:
    reply = pool.post(pad="x" * 4_000_000)
    assert (reply.status, reply.code) == (413, "request_too_large")
    assert "at most 4000000 bytes" in reply.json["error"]["message"]
    assert (pool.picker.asked, pool.reached()) == ([], set())


@pytest.mark.parametrize("codings", [(), ("gzip",), ("zstd", "br")], ids="-".join)
@pytest.mark.parametrize("model", ["m", "nickname"])
@pytest.mark.parametrize("size", [10, 300_000])
def test_the_picker_and_the_pod_get_the_decoded_body_with_the_pods_own_model(
    pool: Pool, codings: tuple[str, ...], model: str, size: int
) -> None:
    pool.picks("two")
    sent = {"inference_server": "pool", "model": model, "messages": [], "pad": "é" * size}
    coding = [("content-encoding", ", ".join(codings))] if codings else []
    reply = pool.gateway.post(encoded(json.dumps(sent).encode(), *codings), headers=[*HOST, *coding])
    assert (reply.status, pool.reached()) == (200, {"two"})
    [received] = pool.pods["two"].recorder.generations()
    [asked] = pool.picker.asked
    assert received.json == json.loads(asked.body) == {**sent, "model": "m"}
    assert received.header("content-length") == (str(len(received.body)),)
    assert "content-encoding" not in asked.headers
    assert received.header("content-encoding") == ()


def test_a_body_that_the_picker_does_not_take_once_it_is_decoded_is_413(pool: Pool) -> None:
    body = json.dumps({"inference_server": "pool", "model": "nickname", "pad": "x" * 4_000_000}).encode()
    reply = pool.gateway.post(encoded(body, "gzip"), headers=[*HOST, ("content-encoding", "gzip")])
    assert (reply.status, reply.code) == (413, "request_too_large")
    assert (pool.picker.asked, pool.reached()) == ([], set())


def test_other_engines_are_reached_without_the_picker_byte_for_byte(pool: Pool) -> None:
    body = b'{"model": "m",  "inference_server" :"other", "seed": 9007199254740993, "pad": "' + b"x" * 5_000_000 + b'"}'
    reply = pool.gateway.post(body, headers=HOST)
    assert (reply.status, reply.header("x-inference-server")) == (200, "other")
    [received] = pool.gateway.engines["other"].recorder.generations()
    assert received.body == body
    assert pool.picker.asked == []
    assert pool.logged(reply) is None


@pytest.mark.parametrize(
    ("method", "path", "host", "status"),
    [
        ("POST", "/v1/chat/completions", "else.test", 404),
        ("GET", "/v1/models", "api.test", 200),
        ("POST", "/v1/nothing", "api.test", 404),
        ("POST", "/unheard", "api.test", 404),
    ],
)
def test_the_picker_is_asked_of_nothing_else(pool: Pool, method: str, path: str, host: str, status: int) -> None:
    """The mock engine has no /unheard: that 404 is its own, and a pod of the pool has been reached."""
    reply = pool.gateway.request(method, path, b"{}" if method == "POST" else None, [("host", host)])
    assert reply.status == status
    assert pool.picker.asked == []
    assert (path in {one.target for pod in pool.pods.values() for one in pod.recorder.requests}) == (path == "/unheard")


def test_a_client_tells_the_picker_nothing_and_the_picker_learns_no_secret(pool: Pool) -> None:
    pool.picks("one")
    told = [
        ("x-gateway-destination-endpoint", pool.address("two")),
        ("X-Gateway-Model-Name-Rewrite", "evil"),
        ("x-gateway-inference-objective", "me-first"),
        ("x-llm-d-model-name-rewrite", "evil"),
        ("x-prefiller-host-port", "192.0.2.7:80"),
        ("x-data-parallel-host-port", "192.0.2.7:80"),
        ("x-encoder-hosts-ports", "192.0.2.7:80"),
    ]
    assert (
        pool.post(headers=[*told, ("authorization", "Bearer secret"), ("cookie", "a=b"), ("x-tenant", "t")]).status
        == 200
    )
    assert pool.reached() == {"one"}
    [asked] = pool.picker.asked
    assert not {name.lower() for name, _ in told} & asked.headers.keys()
    assert not {"authorization", "cookie"} & asked.headers.keys()
    assert asked.headers["x-tenant"] == "t"
    [received] = pool.pods["one"].recorder.generations()
    assert received.header("authorization") == ("Bearer secret",)
    assert received.header("x-prefiller-host-port") == ()
    assert received.header("x-gateway-model-name-rewrite") == ()


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
def test_what_the_picker_refuses_has_openais_shape(pool: Pool, status: int) -> None:
    pool.picker.choose = lambda _: Refusal(status, 'no "room" left')
    reply = pool.post()
    assert (reply.status, reply.code) == (status, "picker_refused")
    assert reply.json["error"]["message"] == 'no "room" left'
    assert pool.reached() == set()


def test_the_next_pod_of_several_is_tried_where_one_refuses_the_connection(pool: Pool) -> None:
    with refusing() as (host, port):
        pool.picker.choose = lambda _: f"{host}:{port},{pool.address('two')}"
        assert pool.post().status == 200
    assert pool.reached() == {"two"}


def test_a_pod_that_envoy_does_not_know_is_replaced_by_any(pool: Pool) -> None:
    pool.picker.choose = lambda _: "192.0.2.1:8000"
    reply = pool.post()
    assert reply.status == 200
    assert len(pool.reached()) == 1
    assert pool.logged(reply) == "192.0.2.1:8000"


def test_the_models_of_a_pool_are_asked_of_its_pods(pool: Pool) -> None:
    listed = pool.gateway.request("GET", "/v1/models", headers=HOST).json["data"]
    assert [entry["id"] for entry in listed] == ["m", "nickname"]
