"""Looking whether an engine takes connections: the first address that does, and no load on anybody."""

from __future__ import annotations

import asyncio
import socket

import pytest

from routegen_router.probe import Door
from support.engines import engine, refusing, serving


async def test_the_address_that_takes_connections_is_asked_first_from_then_on() -> None:
    with refusing() as (host, port), engine(serving("m")) as second:
        door = Door([f"http://{host}:{port}/v1/models", second.url])
        assert await door.look() is None
        assert door.urls() == [second.url, f"http://{host}:{port}/v1/models"]
        assert second.asked == []


async def test_a_refusal_is_one_only_where_every_address_refuses() -> None:
    with refusing() as (one, first), refusing() as (two, second):
        refused = await Door([f"http://{one}:{first}/", f"http://{two}:{second}/"]).look()
        unsure = await Door([f"http://{one}:{first}/", "http://engine.invalid:1/"]).look()
    assert refused is not None
    assert refused.kind == "refused"
    assert unsure is not None
    assert unsure.kind != "refused"


async def test_dns_is_not_asked_at_every_look(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def unknown(host: str, *_: object, **__: object) -> None:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    door = Door(["http://engine.invalid:8000/v1/models"])
    kinds = [error.kind for error in [await door.look() for _ in range(5)] if error is not None]
    assert kinds == ["name"] * 5
    assert asked == ["engine.invalid"]
