"""A pool's picker that is gone, hangs or stands back, behind a real Envoy: closed pools refuse, open ones go on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from routegen.plan import Picker
from support.engines import certificate, refusing
from support.envoy import VERSIONS
from support.fake_router import fake_router
from support.pools import CLOSED, HOST, ROUTES, pool

OPEN = Picker((), fail_open=True)
SPLIT = (
    ROUTES.replace("{m: m, nickname: m}", "[m]")
    + "  rules: [{body: inference_server}, {split: {pool: 1000000, other: 0.001}}]\n"
)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_open_pool_goes_on_without_its_picker(version: str) -> None:
    with pool(OPEN, version=version) as running:
        assert running.post().status == 200
        running.picker.stop()
        running.failing()
        replies = [running.post() for _ in range(20)]
        assert {reply.status for reply in replies} == {200}
        assert running.reached() == {"one", "two"}
        assert running.logged(replies[0]) is None


@pytest.mark.parametrize("version", VERSIONS)
def test_a_closed_pool_refuses_without_its_picker(version: str) -> None:
    with pool(CLOSED, version=version) as running:
        running.picker.stop()
        running.failing()
        reply = running.post()
        assert (reply.status, reply.code) == (503, "picker_unavailable")
        assert running.reached() == set()
        assert running.post("other").status == 200


@pytest.mark.parametrize("health", [True, False])
def test_what_fails_until_the_picker_is_known_to_be_gone_is_told_as_that(health: bool) -> None:
    with pool(CLOSED, health=health) as running:
        assert running.post().status == 200
        running.picker.stop()
        replies = [running.post() for _ in range(5)]
        assert {(reply.status, reply.code) for reply in replies} == {(503, "picker_unavailable")}


@pytest.mark.parametrize("settings", [OPEN, CLOSED], ids=["open", "closed"])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_picker_that_says_nothing_is_given_up(version: str, settings: Picker) -> None:
    """The body is with it, so the request can't go on, whatever the pool says."""
    with pool(Picker((), fail_open=settings.fail_open, timeout=0.5), version=version) as running:
        running.picker.unanswered.set()
        began = time.monotonic()
        reply = running.post()
        assert (reply.status, reply.code) == (503, "picker_unavailable")
        assert time.monotonic() - began >= 0.5


def test_a_picker_that_stands_back_is_not_asked() -> None:
    """One of two that isn't the leader, or whose pool is gone, says NOT_SERVING."""
    with pool(OPEN) as running:
        running.picker.serving(False)
        running.failing()
        running.forget()
        assert running.post().status == 200
        assert running.picker.asked == []


@pytest.mark.parametrize("health", [True, False], ids=["health asked plainly", "connected to"])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_picker_that_speaks_tls(version: str, health: bool, tmp_path: Path) -> None:
    _, chain = certificate(tmp_path, "picker.test")
    with pool(CLOSED, version=version, tls=(chain, tmp_path / "picker.test.key"), health=health) as running:
        running.picks("two")
        assert running.post().status == 200
        assert running.reached() == {"two"}
        assert len(running.picker.asked) == 1


def test_an_open_pool_takes_what_its_picker_does_not() -> None:
    with pool(OPEN) as running:
        body = b'{"inference_server":  "pool", "pad": "' + b"x" * 20_000_000 + b'"}'
        reply = running.gateway.post(body, headers=HOST)
        assert reply.status == 200
        assert running.picker.asked == []
        assert running.logged(reply) is None
        [received] = [one for pod in running.pods.values() for one in pod.recorder.generations()]
        assert received.body == body


@pytest.mark.parametrize("version", VERSIONS)
def test_a_choice_that_nobody_made_by_name_goes_elsewhere_where_all_pods_are_gone(version: str) -> None:
    with refusing() as nobody, pool(CLOSED, routes=SPLIT, version=version, places=[nobody]) as running:
        running.picker.choose = lambda _: f"{nobody[0]}:{nobody[1]}"
        for _ in range(3):
            reply = running.gateway.post({"model": "m"}, headers=HOST)
            assert (reply.status, reply.header("x-inference-server")) == (200, "other")
        assert len(running.picker.asked) == 3
        assert running.post().code == "engine_unavailable", "who named the pool gets it or nothing"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("pod", ["one", "two"])
def test_a_choice_that_nobody_made_by_name_goes_to_the_pod_that_the_picker_names(version: str, pod: str) -> None:
    """Its route has a second choice, so the pool's cluster stands within another one."""
    with pool(CLOSED, routes=SPLIT, version=version) as running:
        running.picks(pod)
        for _ in range(8):
            reply = running.gateway.post({"model": "m"}, headers=HOST)
            assert (reply.status, reply.header("x-inference-server")) == (200, "pool")
        assert running.reached() == {pod}


def test_no_request_comes_to_a_pool_behind_its_pickers_back() -> None:
    """A pool is nobody's second choice: its picker isn't asked of what was on its way to another engine."""
    to_other = SPLIT.replace("{pool: 1000000, other: 0.001}", "{other: 1000000, pool: 0.001}")
    with refusing() as nobody, pool(CLOSED, routes=to_other, others=[nobody]) as running:
        reply = running.gateway.post({"model": "m"}, headers=HOST)
        assert (reply.status, reply.code) == (503, "engine_unavailable")
        assert running.reached() == set()


@pytest.mark.parametrize("version", VERSIONS)
def test_the_failure_backends_picker_is_not_asked_of_what_the_router_decided(version: str) -> None:
    routes = ROUTES.replace("spec:\n", "spec:\n  router: {failure: {backend: pool}}\n")
    with pool(CLOSED, routes=routes, version=version) as running:
        assert running.post("other").header("x-inference-server") == "other"
        assert running.post("nobody").code == "unknown_inference_server"
        assert running.picker.asked == []
        assert running.post().status == 200
        assert len(running.picker.asked) == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_a_pool_may_be_the_failure_backend(version: str) -> None:
    routes = ROUTES.replace("spec:\n", "spec:\n  router: {failure: {backend: pool}}\n")
    with fake_router("aborts") as router, pool(CLOSED, routes=routes, version=version, routers=[router]) as running:
        running.picks("two")
        reply = running.post("other")
        assert (reply.status, reply.header("x-inference-server")) == (200, "pool")
        assert running.reached() == {"two"}
        running.picker.stop()
        running.failing()
        assert running.post("other").status == 503
