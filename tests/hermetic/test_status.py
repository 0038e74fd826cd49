"""What a router process tells its operators: metrics, the registry, health over HTTP, and logs without prompts."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
from pathlib import Path
from typing import Any

import grpc

from routegen_router.config import Backend, Models, Poll
from support.engines import engine, refusing, serving
from support.router import (
    PATIENCE,
    VLLM,
    RouterProcess,
    body,
    headers,
    router_config,
    running,
    streaming,
    talk,
    wait_for,
)
from support.status import get, metrics

SECRETS = ("my secret prompt", "sk-credential", "tenant-header-value", "secret-path", "secret-model", "secret-engine")


def say(router: RouterProcess, sent: bytes | dict[str, Any], more: dict[str, str] | None = None) -> None:
    asyncio.run(talk(router.address, headers(more=more), body(sent)))


def test_streams_that_the_gateway_gives_up_are_counted_apart_from_failures(tmp_path: Path) -> None:
    async def give_up(address: str, *, half_close: bool) -> None:
        async with streaming(address) as open_stream:
            call = open_stream()
            await call.write(headers().SerializeToString())
            await call.read()
            if half_close:
                await call.done_writing()
                assert await call.code() is grpc.StatusCode.INTERNAL
            else:
                call.cancel()

    async def confuse(address: str) -> None:
        async with streaming(address) as open_stream:
            call = open_stream()
            await call.write(b"\xff\xff")
            assert await call.code() is grpc.StatusCode.INTERNAL

    with running(tmp_path, router_config()) as router:
        asyncio.run(give_up(router.address, half_close=True))
        asyncio.run(give_up(router.address, half_close=False))
        wait_for(lambda: metrics(router)["routegen_streams_abandoned_total"] == 2, "both to be counted")
        assert metrics(router)["routegen_stream_failures_total"] == 0
        asyncio.run(confuse(router.address))
        wait_for(lambda: metrics(router)["routegen_stream_failures_total"] == 1, "the failure to be counted")
        assert metrics(router)["routegen_streams_abandoned_total"] == 2
        assert not router.logged("stream failed")


def test_decisions_are_counted_by_rule_backend_and_outcome(tmp_path: Path) -> None:
    with running(tmp_path, router_config()) as router:
        for _ in range(3):
            say(router, {})
        say(router, {"inference_server": "sglang"})
        say(router, {"inference_server": "unheard-of"})
        say(router, b"{")
        asyncio.run(talk(router.address, headers("GET", "/v1/models", end=True)))
        found = metrics(router, decided=7)
    assert {name: value for name, value in found.items() if name.startswith("routegen_decisions_total")} == {
        'routegen_decisions_total{backend="vllm",outcome="routed",rule="all-vllm"}': 3,
        'routegen_decisions_total{backend="sglang",outcome="routed",rule="by-server"}': 1,
        'routegen_decisions_total{backend="",outcome="rejected",rule="by-server"}': 1,
        'routegen_decisions_total{backend="",outcome="rejected",rule=""}': 1,
        'routegen_decisions_total{backend="",outcome="answered",rule=""}': 1,
    }
    assert found['routegen_rejections_total{code="unknown_inference_server"}'] == 1
    assert found['routegen_rejections_total{code="invalid_json"}'] == 1
    assert found["routegen_decision_seconds_count"] == 7
    assert found['routegen_body_bytes_bucket{le="256.0"}'] == 6
    assert found["routegen_bytes_in_flight"] == 0
    assert found["routegen_ready"] == 1
    assert found["routegen_stream_failures_total"] == 0
    assert any(name.startswith("routegen_build_info{version=") for name in found)


def test_clients_make_no_labels(tmp_path: Path) -> None:
    with running(tmp_path, router_config()) as router:
        for number in range(20):
            say(router, {"inference_server": f"made-up-{number}"})
            say(router, {"model": f"made-up-{number}"})
            asyncio.run(talk(router.address, headers("GET", f"/made-up-{number}", end=True)))
        found = metrics(router, decided=60)
    assert not [name for name in found if "made-up" in name]
    assert found['routegen_rejections_total{code="not_found"}'] == 20


def test_the_registry_tells_what_is_known_of_each_backend_and_since_when(tmp_path: Path) -> None:
    with engine(serving("base", "adapter")) as good, engine(lambda request: request.answer(500, b"")) as bad:
        backends = (
            Backend(name="polled", models=("extra-*",), poll=Poll(urls=(good.url,))),
            VLLM,
            Backend(name="silent", owner="sglang", poll=Poll(urls=(bad.url,))),
        )
        settings = router_config(backends=backends, rules=(), models=Models(interval=0.1, timeout=1))
        with running(tmp_path, settings) as router:
            silent = 'routegen_registry_up{backend="silent"}'
            wait_for(lambda: router.logged("engine answers") and metrics(router)[silent] == 0, "polls")
            status, text = get(router, "/registry")
            found = metrics(router)
    document = json.loads(text)
    age = document["backends"][0].pop("age_seconds")
    assert status == 200
    assert 0 <= age < PATIENCE
    assert document == {
        "asked": True,
        "complete": False,
        "backends": [
            {
                "name": "polled",
                "owner": "vllm",
                "source": "polled",
                "asked": True,
                "alive": True,
                "error": None,
                "detail": None,
                "configured": ["extra-*"],
                "polled": {"models": {"base": 1700000000, "adapter": 1700000000}, "owner": "vllm", "cards": {}},
            },
            {
                "name": "vllm",
                "owner": "vllm",
                "source": "static",
                "asked": True,
                "alive": True,
                "age_seconds": None,
                "error": None,
                "detail": None,
                "configured": ["shared", "only-vllm"],
                "polled": None,
            },
            {
                "name": "silent",
                "owner": "sglang",
                "source": "none",
                "asked": True,
                "alive": False,
                "age_seconds": None,
                "error": "status",
                "detail": "answered 500, not 200",
                "configured": [],
                "polled": None,
            },
        ],
    }
    assert {name for name in found if name.startswith("routegen_registry")} == {
        'routegen_registry_up{backend="polled"}',
        'routegen_registry_up{backend="silent"}',
        'routegen_registry_age_seconds{backend="polled"}',
    }
    assert found['routegen_registry_up{backend="silent"}'] == 0
    assert 0 <= found['routegen_registry_age_seconds{backend="polled"}'] < PATIENCE


def test_reloads_are_counted_by_what_became_of_them(tmp_path: Path) -> None:
    with running(tmp_path, router_config()) as router:
        assert metrics(router)['routegen_config_reloads_total{result="refused"}'] == 0
        router.rewrite(b"{}")
        wait_for(lambda: metrics(router)['routegen_config_reloads_total{result="refused"}'] == 1, "the refusal")
        assert metrics(router)['routegen_config_reloads_total{result="loaded"}'] == 0


def test_other_paths_and_methods_are_not_served(tmp_path: Path) -> None:
    with running(tmp_path, router_config()) as router:
        assert get(router, "/healthz") == (200, "ok\n")
        assert get(router, "/readyz?verbose") == (200, "ready\n")
        assert get(router, "/healthz", "HEAD") == (200, "")
        assert get(router, "/debug")[0] == 404
        assert get(router, "/metrics", "POST")[0] == 501


def test_a_probe_that_hangs_up_is_no_line_of_the_log(tmp_path: Path) -> None:
    """By a reset: the line that comes of it otherwise is a traceback of many lines, none of them JSON."""
    with running(tmp_path, router_config()) as router:
        host, _, port = router.status.rpartition(":")
        before = len(router.entries())
        for _ in range(20):
            with socket.create_connection((host, int(port))) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                probe.sendall(b"GET /readyz HTTP/1.1\r\nhost: probe\r\n\r\n")
                probe.recv(1)
        for _ in range(20):  # each in a thread of its own, so all others had their turn
            assert get(router, "/healthz")[0] == 200
        assert len(router.entries()) == before


def test_metrics_can_be_switched_off(tmp_path: Path) -> None:
    with running(tmp_path, router_config(), "--metrics", "") as router:
        assert router.logged("listening")[0]["metrics"] is None
        say(router, {})


def confess(router: RouterProcess) -> None:
    """Send secrets in every place that a client can fill, in requests of every outcome."""
    more = {"authorization": "Bearer sk-credential", "x-tier": "tenant-header-value", "x-request-id": "id-1"}
    say(router, {"prompt": "my secret prompt", "model": "shared"}, more)
    say(router, {"prompt": "my secret prompt", "model": "secret-model"}, more)
    say(router, {"prompt": "my secret prompt", "inference_server": "secret-engine"}, more)
    say(router, b'{"prompt": "my secret prompt", "secret-model', more)
    asyncio.run(talk(router.address, headers("GET", "/secret-path?key=sk-credential", end=True, more=more)))
    asyncio.run(talk(router.address, body({"prompt": "my secret prompt"})))


def test_each_decision_is_one_line_of_json(tmp_path: Path) -> None:
    with running(tmp_path, router_config()) as router:
        confess(router)
        router.stop()
    first, *others = router.logged("decision")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first.pop("time"))
    assert first.pop("milliseconds") > 0
    assert first == {
        "level": "info",
        "logger": "routegen.decisions",
        "message": "decision",
        "outcome": "rejected",
        "status": 400,
        "code": "unknown_value",
        "rule": "by-tier",
        "body_bytes": 49,
        "request_id": "id-1",
    }
    assert [(entry["outcome"], entry["code"]) for entry in others] == [
        ("rejected", "model_not_found"),
        ("rejected", "unknown_inference_server"),
        ("rejected", "invalid_json"),
        ("rejected", "not_found"),
        ("rejected", "router_misconfigured"),
    ]


def test_logs_hold_no_prompt_credential_or_header_value_even_at_debug(tmp_path: Path) -> None:
    with running(tmp_path, router_config(), "--log-level", "debug") as router:
        confess(router)
        router.stop()
        assert len(router.logged("decision")) == 6
        assert not [secret for secret in SECRETS if secret in router.log.read_text()]


def test_an_engine_that_has_never_answered_neither_stops_nor_comes_back(tmp_path: Path) -> None:
    with refusing() as (host, port):
        poll = Poll(urls=(f"http://{host}:{port}/v1/models",))
        settings = router_config(
            backends=(Backend(name="late", poll=poll), VLLM), rules=(), models=Models(interval=0.1, timeout=1)
        )
        up = 'routegen_registry_up{backend="late"}'
        with running(tmp_path, settings) as router:
            wait_for(lambda: metrics(router)[up] == 0, "it to count as dead")
            with engine(serving("m"), port=port):
                wait_for(lambda: metrics(router)[up] == 1, "it to answer")
                wait_for(lambda: router.logged("engine answers"), "its first answer")
                assert len(router.logged("poll failed")) == 1
                assert not router.logged("engine stopped answering")
                assert not router.logged("engine is back")
            wait_for(lambda: router.logged("engine stopped answering"), "its end")
            with engine(serving("m"), port=port):
                wait_for(lambda: router.logged("engine is back"), "its return")
