"""Asking engines again and again: what is kept of their answers, who counts as dead, and who is only slow."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable

import pytest

from routegen_router import poller
from routegen_router.config import Backend, Config, Models, Poll
from routegen_router.fetch import PollError
from routegen_router.models import Answer
from routegen_router.poller import Registry, poll_all
from support.engines import Request, Respond, engine, refusing, serving
from support.router import router_config


def registry_config(**urls: str) -> Config:
    backends = tuple(Backend(name=name, poll=Poll(urls=(url,))) for name, url in urls.items())
    return router_config(backends=backends, rules=(), models=Models(interval=0.05, timeout=0.5))


def silent(request: Request) -> None:
    time.sleep(1)
    request.answer(200, b"{}")


@contextlib.asynccontextmanager
async def started(config: Config) -> AsyncIterator[Registry]:
    """A registry that polls until the block ends."""
    registry = Registry(config, None, lambda: None)
    registry.start()
    try:
        yield registry
    finally:
        await registry.stop()


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
        backend = Backend(name="one", owner="vllm", poll=Poll(urls=(running.url,)))
        settings = router_config(backends=(backend,), rules=(), models=Models(interval=0.02, timeout=1))
        registry = Registry(settings, None, lambda: None)
        with caplog.at_level(logging.INFO, "routegen.poller"):
            registry.start()
            await until(registry, lambda: len(running.asked) >= 4)
            await registry.stop()
    assert registry.backends["one"].known.owner == "vllm"
    assert len([record for record in caplog.records if "another owner" in record.message]) == 1


async def test_a_backend_whose_first_address_is_dead_is_asked_at_its_second() -> None:
    with refusing() as (host, port), engine(serving("m")) as second:
        poll = Poll(urls=(f"http://{host}:{port}/v1/models", second.url))
        config = router_config(backends=(Backend(name="one", poll=poll),), rules=(), models=Models(timeout=0.5))
        async with started(config) as registry:
            await until(registry, lambda: registry.view().complete)
            assert registry.view().serving("m") == ("one",)
            assert registry.view().alive == {"one"}
        assert isinstance(poll_all(config)["one"], Answer)


async def test_a_backend_whose_first_address_hangs_is_asked_at_its_second_too() -> None:
    with engine(lambda request: time.sleep(3)) as hung, engine(serving("m")) as second:
        poll = Poll(urls=(hung.url, second.url))
        config = router_config(backends=(Backend(name="one", poll=poll),), rules=(), models=Models(timeout=0.1))
        async with started(config) as registry:
            await until(registry, lambda: registry.view().complete)
            assert registry.view().serving("m") == ("one",)


async def test_an_engine_that_takes_its_time_is_asked_alive_and_known_once_it_has_answered() -> None:
    def slow(request: Request) -> None:
        time.sleep(0.6)
        serving("m")(request)

    with engine(slow) as running:
        config = router_config(
            backends=(Backend(name="one", poll=Poll(urls=(running.url,))),),
            rules=(),
            models=Models(interval=0.05, timeout=0.1),
        )
        async with started(config) as registry:
            await until(registry, lambda: registry.asked)
            assert not registry.view().complete
            assert registry.hopeful
            assert registry.backends["one"].trouble == "timeout"
            await until(registry, lambda: registry.view().complete)
            for _ in range(20):
                assert registry.view().alive == {"one"}
                await asyncio.sleep(0.05)
            assert len(running.asked) >= 3
            assert registry.backends["one"].failures == 0


async def test_an_engine_that_never_answers_counts_as_dead_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller, "PATIENCE", 0.2)
    with engine(lambda request: time.sleep(2)) as running:
        config = router_config(
            backends=(Backend(name="one", poll=Poll(urls=(running.url,))),),
            rules=(),
            models=Models(interval=0.05, timeout=0.1),
        )
        async with started(config) as registry:
            await until(registry, lambda: not registry.view().alive)
            assert registry.backends["one"].trouble == "timeout"


async def test_an_engine_that_wants_a_key_lives() -> None:
    with engine(lambda request: request.answer(401, b"")) as running:
        backend = Backend(name="one", models=("m",), poll=Poll(urls=(running.url,)))
        config = router_config(backends=(backend,), rules=(), models=Models(interval=0.02, timeout=0.5))
        async with started(config) as registry:
            await until(registry, lambda: len(running.asked) >= 5)
            assert registry.view().alive == {"one"}
            assert registry.view().complete, "what the configuration lists counts as known"
            assert registry.backends["one"].trouble == "key"


async def test_refused_connections_are_known_long_before_the_next_poll_and_so_is_their_end() -> None:
    """At the default interval of 15 s between two polls; the engine isn't asked for anything meanwhile."""
    with refusing() as (_, port), engine(serving("m"), port=port) as running:
        backend = Backend(name="one", poll=Poll(urls=(running.url,)))
        async with started(router_config(backends=(backend,))) as registry:
            await until(registry, lambda: registry.view().complete)
            asked = len(running.asked)
            await asyncio.sleep(1.5)
            assert len(running.asked) == asked
            running.server.socket.close()  # as after a kill: nobody listens any more
            await until(registry, lambda: not registry.view().alive)
            assert registry.backends["one"].trouble == "refused"
            assert registry.view().serving("m") == ("one",), "the last good answer is kept"
            with engine(serving("m", "new"), port=port):
                await until(registry, lambda: bool(registry.view().alive))
                await until(registry, lambda: registry.view().serving("new") == ("one",))


async def test_an_engine_that_warms_up_gets_nothing_by_chance_until_it_can_answer() -> None:
    warm = False

    def respond(request: Request) -> None:
        if request.path == "/health" and not warm:
            request.answer(503, b"")
        else:
            serving("m", owner="sglang")(request)

    with engine(respond) as running:
        async with started(registry_config(one=running.url)) as registry:
            await until(registry, lambda: registry.view().complete)
            assert registry.view().alive == frozenset()
            assert registry.view().serving("m") == ("one",)
            assert registry.backends["one"].trouble == "warming"
            await until(registry, lambda: running.asked.count("/health") >= 3)
            assert registry.view().alive == frozenset()
            warm = True
            await until(registry, lambda: registry.view().alive == {"one"})
            asked = running.asked.count("/health")
            polled = len(running.asked)
            await until(registry, lambda: len(running.asked) >= polled + 5)
            assert running.asked.count("/health") == asked, "a warm engine generates a token for each of these"


async def test_asked_is_every_engine_that_answered_failed_or_let_its_time_go_by() -> None:
    with refusing() as (host, port), engine(silent) as slow, engine(serving("m")) as quick:
        config = registry_config(gone=f"http://{host}:{port}/v1/models", slow=slow.url, quick=quick.url)
        async with started(config) as registry:
            assert not registry.asked
            await registry.wait_until_asked(10)
            assert registry.asked
            assert not registry.view().complete
            assert registry.view().alive == {"slow", "quick"}
