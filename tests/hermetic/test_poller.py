"""Asking engines for their models over real HTTP: good answers, every kind of bad one, and what is kept of them."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from routegen_router.ask import KINDS, MAX_BYTES, MAX_ID, MAX_MODELS, PollError, ask
from routegen_router.config import Backend, Config, Models, Poll
from routegen_router.models import Answer
from routegen_router.poller import Registry, poll_all
from support.engines import Request, Respond, certificate, engine, serving
from support.router import router_config


def registry_config(**urls: str) -> Config:
    backends = tuple(Backend(name=name, poll=Poll(url=url)) for name, url in urls.items())
    return router_config(backends=backends, rules=(), models=Models(interval=0.05, timeout=0.5))


def test_a_good_answer_has_the_models_their_times_and_the_owner() -> None:
    before = time.time()
    with engine(serving("base", "adapter")) as running:
        answer = ask(Poll(url=running.url), 5)
    assert dict(answer.models) == {"base": 1700000000, "adapter": 1700000000}
    assert answer.owner == "vllm"
    assert before <= answer.at <= time.time()


@pytest.mark.parametrize(
    ("data", "models", "owner"),
    [
        ([], {}, None),
        ([{"id": "m"}], {"m": 0}, None),
        ([{"id": "m", "created": None, "owned_by": ""}], {"m": 0}, None),
        ([{"id": "m", "created": "yesterday", "owned_by": 7}], {"m": 0}, None),
        ([{"id": "m", "created": 10**400, "owned_by": "o" * (MAX_ID + 1)}], {"m": 0}, None),
        ([{"id": "m", "created": -1}, {"id": "m", "created": 2}, {"id": "\0"}], {"m": 2, "\0": 0}, None),
        ([{"id": "m", "created": 5.5, "owned_by": "a"}, {"id": "n", "owned_by": "b"}], {"m": 5, "n": 0}, "a"),
    ],
)
def test_what_an_engine_leaves_out_is_left_out(
    data: list[dict[str, object]], models: dict[str, int], owner: str | None
) -> None:
    document = json.dumps({"data": data}).encode()
    with engine(lambda request: request.answer(200, document)) as running:
        answer = ask(Poll(url=running.url), 5)
    assert (dict(answer.models), answer.owner) == (models, owner)


def test_the_query_and_the_path_are_asked_for_as_configured() -> None:
    with engine(serving("m")) as running:
        ask(Poll(url=running.url.replace("/v1/models", "/tenant/v1/models?limit=5")), 5)
        assert running.asked == ["/tenant/v1/models?limit=5"]


def silent(request: Request) -> None:
    time.sleep(1)
    request.answer(200, b"{}")


def dripping(request: Request) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    for _ in range(100):
        request.wfile.write(b" ")
        time.sleep(0.02)


def dripping_header(request: Request) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\nx-long: ")
    for _ in range(100):
        request.wfile.write(b"x")
        time.sleep(0.02)


def other_protocol(request: Request) -> None:
    request.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n")


def hanging_up(request: Request) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-le")


BAD: list[tuple[str, Respond]] = [
    ("timeout", silent),
    ("timeout", dripping),
    ("timeout", dripping_header),
    ("status", lambda request: request.answer(500, b"")),
    ("status", lambda request: request.answer(404, b"")),
    ("status", lambda request: request.answer(204, b"")),
    ("redirect", lambda request: request.answer(302, b"", location="/elsewhere")),
    ("redirect", lambda request: request.answer(308, b"", location="http://127.0.0.1:1/")),
    ("too_large", lambda request: request.answer(200, b'{"data":[]}' + b" " * MAX_BYTES)),
    ("not_a_list", lambda request: request.answer(200, b"<html>")),
    ("not_a_list", lambda request: request.answer(200, b"\xff\xfe")),
    ("not_a_list", lambda request: request.answer(200, b"")),
    ("not_a_list", lambda request: request.answer(200, b'{"data": [{"id": 5}]}')),
    ("not_a_list", lambda request: request.answer(200, b'{"data": {"id": "m"}}')),
    ("not_a_list", lambda request: request.answer(200, b'{"data": [{"id": "m", "created": ' + b"[" * 100_000)),
    ("not_a_list", lambda request: request.answer(200, b'{"data": [' + b"[" * 100_000)),
    ("not_a_list", lambda request: request.answer(200, b'{"data": [{"id": "%b"}]}' % (b"m" * (MAX_ID + 1)))),
    ("not_a_list", serving(*map(str, range(MAX_MODELS + 1)))),
    ("not_a_list", lambda request: request.answer(200, b'{"data": [{"id": "\\ud800"}]}')),
    ("http", lambda request: None),
    ("http", other_protocol),
]


@pytest.mark.parametrize(("kind", "respond"), BAD)
def test_a_bad_answer_is_an_error_of_its_kind(kind: str, respond: Respond) -> None:
    with engine(respond) as running, pytest.raises(PollError) as caught:
        ask(Poll(url=running.url), 0.3)
    assert caught.value.kind == kind
    assert kind in KINDS
    assert len(running.asked) == 1


def test_an_answer_that_is_cut_off_is_no_list() -> None:
    with engine(hanging_up) as running, pytest.raises(PollError) as caught:
        ask(Poll(url=running.url), 5)
    assert caught.value.kind in {"http", "not_a_list"}


def test_nobody_there_is_an_error_to_connect() -> None:
    with engine(serving("m")) as running:
        url = running.url
    with pytest.raises(PollError) as caught:
        ask(Poll(url=url), 5)
    assert (caught.value.kind, str(caught.value)) == ("connect", "Connection refused")


def test_tls_engines_are_verified_as_configured(tmp_path: Path) -> None:
    context, authority = certificate(tmp_path, "engine.internal")
    _, stranger = certificate(tmp_path, "stranger.internal")
    with engine(serving("m"), context) as running:
        trusted = Poll(url=running.url, server_name="engine.internal", ca_file=str(authority))
        assert "m" in ask(trusted, 5).models
        assert "m" in ask(Poll(url=running.url, verify=False), 5).models
        wrong = [
            Poll(url=running.url, server_name="engine.internal"),
            Poll(url=running.url, server_name="engine.internal", ca_file=str(stranger)),
            Poll(url=running.url, server_name="other.internal", ca_file=str(authority)),
            Poll(url=running.url, ca_file=str(authority)),
        ]
        for poll in wrong:
            with pytest.raises(PollError) as caught:
                ask(poll, 5)
            assert caught.value.kind == "tls"


def test_a_ca_file_that_is_not_there_is_an_error_of_tls(tmp_path: Path) -> None:
    with engine(serving("m")) as running, pytest.raises(PollError) as caught:
        ask(Poll(url=running.url.replace("http:", "https:"), ca_file=str(tmp_path / "none.pem")), 5)
    assert caught.value.kind == "tls"


def test_asking_all_once_tells_answers_and_errors_by_backend() -> None:
    with engine(serving("m")) as good, engine(lambda request: request.answer(500, b"")) as bad:
        answers = poll_all(registry_config(good=good.url, bad=bad.url))
    assert isinstance(answers["good"], Answer)
    assert isinstance(answers["bad"], PollError)
    assert poll_all(router_config()) == {}


async def until(registry: Registry, holds: Callable[[], bool]) -> None:
    """Wait until the registry has learned something."""
    for _ in range(500):
        if holds():
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"never held; known: {registry.backends}")


async def test_an_engine_dies_after_two_failed_polls_and_comes_back_with_one_good_one() -> None:
    failing: Respond = lambda request: request.answer(500, b"")  # noqa: E731 - beside serving()
    with engine(serving("m")) as running:
        seen: list[tuple[int, bool, bool]] = []
        registry = Registry(
            registry_config(one=running.url),
            None,
            lambda: seen.append(
                (registry.backends["one"].failures, "one" in registry.view().alive, bool(registry.view().serving("m")))
            ),
        )
        assert not registry.view().complete
        registry.start()
        await until(registry, lambda: registry.view().complete)
        running.responds(failing)
        await until(registry, lambda: "one" not in registry.view().alive)
        error = registry.backends["one"].error
        running.responds(serving("m"))
        await until(registry, lambda: "one" in registry.view().alive)
        await registry.stop()
    assert error is not None
    assert error.kind == "status"
    assert {(failures, alive) for failures, alive, _ in seen} >= {(0, True), (1, True), (2, False)}
    assert all(alive == (failures < 2) for failures, alive, _ in seen)
    assert all(serves for *_, serves in seen), "the last good answer is kept"


async def test_one_engine_that_hangs_delays_no_other() -> None:
    with engine(silent) as slow, engine(serving("m")) as quick:
        registry = Registry(registry_config(slow=slow.url, quick=quick.url), None, lambda: None)
        registry.start()
        await until(registry, lambda: len(quick.asked) >= 3)
        assert registry.backends["slow"].known.answer is None
        await registry.stop()


async def test_what_is_known_of_an_unchanged_backend_survives_a_new_configuration() -> None:
    with engine(serving("m")) as running:
        first = Registry(registry_config(stays=running.url, moves=running.url), None, lambda: None)
        first.start()
        await until(first, lambda: first.view().complete)
        await first.stop()
        second = Registry(
            registry_config(stays=running.url, moves=running.url + "?new", comes=running.url), first, lambda: None
        )
    assert second.backends["stays"] == first.backends["stays"]
    assert second.backends["moves"].known.answer is None
    assert second.backends["comes"].known.answer is None
    assert first.view().serving("m") == ("stays", "moves"), "streams under way still see what they started with"


async def test_an_owner_that_differs_from_the_configured_one_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    with engine(serving("m", owner="sglang")) as running:
        backend = Backend(name="one", owner="vllm", poll=Poll(url=running.url))
        settings = router_config(backends=(backend,), rules=(), models=Models(interval=0.02, timeout=1))
        registry = Registry(settings, None, lambda: None)
        with caplog.at_level(logging.INFO, "routegen.poller"):
            registry.start()
            await until(registry, lambda: len(running.asked) >= 4)
            await registry.stop()
    assert registry.backends["one"].known.owner == "vllm"
    assert len([record for record in caplog.records if "another owner" in record.message]) == 1
