"""A router process's life: start, readiness, health, reload, drain, and the sentences when it can't start."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import grpc
import msgspec
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from routegen_router import config
from routegen_router._pb import extproc_pb2 as pb
from routegen_router.config import Backend, Models, Poll
from routegen_router.rules import Split
from support.command import ROUTEGEN
from support.engines import Request, engine, refusing, serving
from support.router import (
    PATIENCE,
    RULES,
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

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def polling(**urls: str) -> config.Config:
    """Engines that are asked every twentieth of a second."""
    backends = tuple(Backend(name=name, poll=Poll(urls=(url,))) for name, url in urls.items())
    return router_config(backends=backends, rules=RULES[:1], models=Models(interval=0.05, timeout=1))


def only(backend: str) -> config.Config:
    """Everything goes to ``backend``."""
    return router_config(rules=(Split(name=f"to-{backend}", weights=((backend, 1.0),)),))


async def check(address: str, service: str = "") -> int:
    async with grpc.aio.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        reply = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=PATIENCE)
        return int(reply.status)


def ready(router: RouterProcess) -> int:
    try:
        with urllib.request.urlopen(f"http://{router.status}/readyz", timeout=PATIENCE) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def reload(router: RouterProcess, data: bytes) -> None:
    """Replace the configuration file and have it looked at now rather than within a second."""
    router.rewrite(data)
    router.process.send_signal(signal.SIGHUP)


def answered(router: RouterProcess, sent: dict[str, str]) -> str | tuple[int, str]:
    """The backend that a request goes to, or the refusal's status and code."""
    [_, reply] = asyncio.run(talk(router.address, headers(), body(sent)))
    if reply.WhichOneof("response") == "request_body":
        [option] = reply.request_body.response.header_mutation.set_headers
        return option.header.raw_value.decode()
    document = json.loads(reply.immediate_response.body)
    return reply.immediate_response.status.code, document["error"]["code"]


def dead(router: RouterProcess) -> set[str]:
    """The backends whose engines have stopped answering, by the log."""
    return {entry["backend"] for entry in router.logged("engine stopped answering")}


async def chosen(router: RouterProcess) -> str:
    """The rule that decides an empty body now."""
    *_, reply = await talk(router.address, headers(), body({}))
    return reply.dynamic_metadata["routegen"]["rule"]  # type: ignore[index, return-value]


def hanging(request: Request) -> None:
    """Takes the connection and says nothing for longer than anybody waits."""
    time.sleep(30)


def test_it_is_ready_once_every_engine_was_asked_whatever_came_of_it(tmp_path: Path) -> None:
    ready_file = tmp_path / "ready.json"
    with (
        engine(serving("m")) as good,
        engine(lambda request: request.answer(500, b"")) as broken,
        engine(lambda request: request.answer(401, b"")) as locked,
        refusing() as (host, port),
    ):
        urls = {
            "good": good.url,
            "broken": broken.url,
            "locked": locked.url,
            "gone": f"http://{host}:{port}/v1/models",
        }
        with running(tmp_path, polling(**urls), "--ready-file", str(ready_file)) as router:
            wait_for(lambda: ready(router) == 200, "readiness")
            assert asyncio.run(check(router.address)) == SERVING
            wait_for(ready_file.exists, "the ready file")
            told = json.loads(ready_file.read_text())
            assert told == {"pid": router.process.pid, "listen": router.listen, "metrics": router.status}
            [entry] = router.logged("ready")
            assert entry["trouble"] == {"broken": "status", "locked": "key", "gone": "refused"}

            assert answered(router, {"model": "m"}) == "good"
            assert answered(router, {"model": "unheard-of"}) == (503, "registry_incomplete")
            assert answered(router, {"model": "m", "inference_server": "gone"}) == (503, "registry_incomplete")

            good.responds(lambda request: request.answer(500, b""))
            wait_for(lambda: "good" in dead(router), "the engine's death")
            assert ready(router) == 200, "a dead engine is the chain's business"
            assert router.stop() == 0
            assert not ready_file.exists()


def test_what_is_listed_counts_as_known_where_an_engine_was_asked_in_vain(tmp_path: Path) -> None:
    with engine(serving("m")) as good, refusing() as (host, port):
        settings = polling(good=good.url, gone=f"http://{host}:{port}/v1/models")
        one, gone = settings.backends
        settings = msgspec.structs.replace(settings, backends=(one, msgspec.structs.replace(gone, models=("n", "n-*"))))
        with running(tmp_path, settings) as router:
            wait_for(lambda: ready(router) == 200, "readiness")
            assert answered(router, {"model": "n"}) == "gone"
            assert answered(router, {"model": "unheard-of"}) == (404, "model_not_found")
            assert answered(router, {"model": "m", "inference_server": "gone"}) == (400, "engine_model_mismatch")


def test_it_is_not_ready_before_an_engine_has_had_its_time_and_a_short_grace(tmp_path: Path) -> None:
    """One that hangs: the configured second, and five more, since older routers may know its models."""
    with (
        engine(serving("m")) as good,
        engine(hanging) as hung,
        running(tmp_path, polling(good=good.url, hung=hung.url)) as router,
    ):
        listening = time.monotonic()
        wait_for(lambda: bool(hung.asked), "the question")
        assert ready(router) == 503
        assert asyncio.run(check(router.address)) == NOT_SERVING
        wait_for(lambda: ready(router) == 200, "readiness")
        assert time.monotonic() - listening > 4
        assert answered(router, {"model": "m"}) == "good"
        assert answered(router, {"model": "hung's"}) == (503, "registry_incomplete")


def test_an_engine_that_answers_late_but_within_the_grace_is_known_when_the_router_gets_ready(tmp_path: Path) -> None:
    def slow(request: Request) -> None:
        time.sleep(2)
        serving("n")(request)

    with engine(serving("m")) as good, engine(slow) as late:
        settings = polling(good=good.url, late=late.url.replace("/v1/models", "/models"))
        with running(tmp_path, settings) as router:
            wait_for(lambda: ready(router) == 200, "readiness")
            assert answered(router, {"model": "n"}) == "late"


async def test_health_is_told_by_service_and_to_those_who_watch(tmp_path: Path) -> None:
    asked = threading.Event()

    def late(request: Request) -> None:
        asked.wait(30)
        serving("m")(request)

    with engine(late) as polled, running(tmp_path, polling(one=polled.url)) as router:
        async with grpc.aio.insecure_channel(router.address) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            watch = stub.Watch(health_pb2.HealthCheckRequest(service="envoy.service.ext_proc.v3.ExternalProcessor"))
            assert (await watch.read()).status == NOT_SERVING
            asked.set()
            assert (await watch.read()).status == SERVING
            assert await check(router.address, "envoy.service.ext_proc.v3.ExternalProcessor") == SERVING

            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await check(router.address, "someone.else")
            assert caught.value.code() is grpc.StatusCode.NOT_FOUND
            stranger = stub.Watch(health_pb2.HealthCheckRequest(service="someone.else"))
            assert (await stranger.read()).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN

            router.process.terminate()
            assert (await watch.read()).status == NOT_SERVING
            assert await watch.read() is grpc.aio.EOF
            assert await stranger.read() is grpc.aio.EOF


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_what_is_under_way_and_what_still_comes(tmp_path: Path, how: signal.Signals) -> None:
    with running(tmp_path, router_config(), "--drain-seconds", "1") as router:
        async with streaming(router.address) as open_stream:
            call = open_stream()
            await call.write(headers().SerializeToString())
            await call.read()
            router.process.send_signal(how)
            wait_for(lambda: router.logged("draining"), "the drain")
            assert await check(router.address) == NOT_SERVING
            assert ready(router) == 503
            assert await chosen(router) == "all-vllm", "a gateway that hasn't noticed yet is still served"
            await call.write(body({}).SerializeToString())
            reply = pb.ProcessingResponse.FromString(await call.read())
            assert reply.WhichOneof("response") == "request_body"
        assert router.process.wait(PATIENCE) == 0
        assert router.logged("stopped")


def test_a_second_signal_cuts_the_drain_short(tmp_path: Path) -> None:
    with running(tmp_path, router_config(), "--drain-seconds", "600") as router:
        router.process.terminate()
        wait_for(lambda: router.logged("draining"), "the drain")
        assert router.stop() == 0


def test_a_changed_configuration_is_loaded_and_a_bad_one_refused(tmp_path: Path) -> None:
    with running(tmp_path, only("vllm")) as router:
        assert asyncio.run(chosen(router)) == "to-vllm"

        router.rewrite(config.dump(only("sglang")))
        wait_for(lambda: router.logged("configuration loaded"), "the reload")
        assert asyncio.run(chosen(router)) == "to-sglang"

        reload(router, b"{")
        wait_for(lambda: len(router.logged("configuration refused; the last good one stays in force")) == 1, "refusal")
        assert asyncio.run(chosen(router)) == "to-sglang"

        router.config.unlink()
        router.process.send_signal(signal.SIGHUP)
        wait_for(lambda: len(router.logged("configuration refused; the last good one stays in force")) == 2, "refusal")
        assert asyncio.run(chosen(router)) == "to-sglang"

        reload(router, config.dump(only("sglang")))
        wait_for(lambda: router.logged("configuration file is back to what is in force"), "the file's return")

        reload(
            router, config.dump(msgspec.structs.replace(only("vllm"), max_body_bytes=2**30, max_inflight_bytes=2**30))
        )
        wait_for(lambda: len(router.logged("configuration refused; the last good one stays in force")) == 3, "refusal")

        reload(router, config.dump(only("vllm")))
        wait_for(lambda: len(router.logged("configuration loaded")) == 2, "the reload")
        assert asyncio.run(chosen(router)) == "to-vllm"
        problems = [
            entry["problem"] for entry in router.logged("configuration refused; the last good one stays in force")
        ]
        assert "no such file" in problems[1]
        assert "without a restart" in problems[2]


async def test_a_stream_keeps_the_configuration_that_it_started_with(tmp_path: Path) -> None:
    with running(tmp_path, only("sglang")) as router:
        async with streaming(router.address) as open_stream:
            call = open_stream()
            await call.write(headers().SerializeToString())
            await call.read()
            reload(router, config.dump(router_config(backends=(VLLM,), rules=(), routing_header="x-other")))
            wait_for(lambda: router.logged("configuration loaded"), "the reload")
            await call.write(body({}).SerializeToString())
            reply = pb.ProcessingResponse.FromString(await call.read())
        [option] = reply.request_body.response.header_mutation.set_headers
        assert (option.header.key, option.header.raw_value) == ("x-inference-server", b"sglang")
        assert await chosen(router) == "only-candidate"


def test_polled_knowledge_survives_a_reload_and_a_silent_newcomer_takes_nothing_away(tmp_path: Path) -> None:
    with engine(serving("m")) as known, engine(lambda request: request.answer(500, b"")) as silent:
        settings = polling(one=known.url)
        with running(tmp_path, settings) as router:
            wait_for(lambda: ready(router) == 200, "readiness")
            known.responds(lambda request: request.answer(500, b""))
            newcomer = Backend(name="two", poll=Poll(urls=(silent.url,)))
            reload(router, config.dump(msgspec.structs.replace(settings, backends=(*settings.backends, newcomer))))
            wait_for(lambda: router.logged("configuration loaded"), "the reload")
            wait_for(lambda: len(silent.asked) >= 2, "polls of the newcomer")
            assert ready(router) == 200
            [_, reply] = asyncio.run(talk(router.address, headers(), body({"model": "m"})))
            assert reply.dynamic_metadata["routegen"]["backend"] == "one"  # type: ignore[index]


def refused(*arguments: str, command: tuple[str, ...] = (sys.executable, "-m", "routegen_router")) -> str:
    """What a router that can't start says."""
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 1, done
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_each_thing_in_the_way_of_a_start_gets_one_sentence(tmp_path: Path) -> None:
    good, bad = tmp_path / "router.json", tmp_path / "bad.json"
    good.write_bytes(config.dump(router_config()))
    bad.write_bytes(b'{"name": 5}')
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = f"127.0.0.1:{taken.getsockname()[1]}"
        some = ("--config", str(good), "--listen")
        anywhere = (*some, "127.0.0.1:0", "--metrics")
        assert f"can't listen on {busy}: Address already in use" in refused(*some, busy, "--metrics", "")
        assert f"can't serve metrics on {busy}: Address already in use" in refused(*anywhere, busy)
        assert "'9002' is not an address" in refused(*some, "9002")
        assert "'localhost:99999' is not an address" in refused(*some, "localhost:99999")
        assert "--metrics 'nonsense' is not an address" in refused(*anywhere, "nonsense")
        assert "its folder doesn't exist" in refused(*some, f"unix:{tmp_path}/none/router.sock")
        file = ("--ready-file", str(tmp_path / "none" / "ready"))
        assert "none/ready: its folder doesn't exist" in refused(*some, "127.0.0.1:0", *file)
        assert "longer than" in refused(*some, f"unix:{tmp_path}/{'x' * 200}")
        assert "none.json: no such file" in refused("--config", str(tmp_path / "none.json"), "--listen", "127.0.0.1:0")
        assert "bad.json: " in refused("--config", str(bad), "--listen", "127.0.0.1:0")


def test_a_unix_socket_in_use_is_not_taken_over_but_a_left_one_is(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/router.sock"
    with running(tmp_path, router_config(), listen=[address]) as router:
        assert "another process does" in refused("--config", str(router.config), "--listen", address)
        router.process.kill()
        router.process.wait(PATIENCE)
    with running(tmp_path, router_config(), listen=[address]) as router:
        assert asyncio.run(chosen(router)) == "all-vllm"


def test_a_unix_socket_is_for_whom_it_was_said(tmp_path: Path) -> None:
    path = tmp_path / "router.sock"
    for options, mode in (((), 0o600), (("--socket-mode", "660"), 0o660)):
        with running(tmp_path, router_config(), *options, listen=[f"unix:{path}"]) as router:
            assert path.stat().st_mode & 0o777 == mode
            assert asyncio.run(chosen(router)) == "all-vllm"
            assert router.stop() == 0
        assert not path.exists()


def test_of_two_routers_that_start_at_once_one_gets_the_socket_and_the_other_says_so(tmp_path: Path) -> None:
    file = tmp_path / "router.json"
    file.write_bytes(config.dump(router_config()))
    command = [sys.executable, "-m", "routegen_router", "--config", str(file), "--metrics", "", "--drain-seconds", "0"]
    command += ["--listen", f"unix:{tmp_path}/router.sock"]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        wait_for(lambda: any(one.poll() is not None for one in both), "one to give up")
        [loser] = [one for one in both if one.poll() is not None]
        [winner] = [one for one in both if one is not loser]
        assert loser.wait() == 1
        assert "another process does; choose another path" in loser.communicate()[1]
        wait_for((tmp_path / "router.sock").is_socket, "the other to listen")
        winner.terminate()
        assert '"listening"' in winner.communicate(timeout=PATIENCE)[1]
        assert winner.returncode == 0
    finally:
        for one in both:
            one.kill()
            one.wait(PATIENCE)
            assert one.stderr is not None
            one.stderr.close()


def test_a_router_that_hangs_still_has_its_socket_and_a_file_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "router.sock"
    with socket.socket(socket.AF_UNIX) as hangs, contextlib.ExitStack() as waiting:
        hangs.bind(str(path))
        hangs.listen(0)
        for _ in range(4):  # as many as the kernel lets wait, and more
            client = waiting.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            client.connect_ex(str(path))
        file = tmp_path / "router.json"
        file.write_bytes(config.dump(router_config()))
        some = ("--config", str(file), "--metrics", "", "--listen")
        assert "another process does" in refused(*some, f"unix:{path}")
        assert "something else than a socket is there" in refused(*some, f"unix:{file}")
        assert file.exists()


def test_routegen_router_is_the_same_program(tmp_path: Path) -> None:
    command = (*ROUTEGEN, "router")
    with running(tmp_path, router_config(), "--log-level", "info", command=command) as router:
        assert asyncio.run(chosen(router)) == "all-vllm"
        assert router.stop() == 0
    sentence = refused("--config", str(tmp_path / "none.json"), "--listen", "127.0.0.1:0", command=command)
    assert sentence.startswith("routegen: ")
