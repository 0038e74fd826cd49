"""A router with several processes that decide: to gateways several, to everybody else one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import msgspec
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from routegen_router import config, reader
from routegen_router._pb import extproc_pb2 as pb
from routegen_router.config import Backend, Models, Poll
from routegen_router.request import Source
from routegen_router.rules import Split
from support.engines import engine, serving
from support.router import (
    PATIENCE,
    RULES,
    RouterProcess,
    body,
    headers,
    router_config,
    running,
    streaming,
    talk,
    wait_for,
)
from support.status import get, metrics, samples
from support.workers import at, children, gone, workers

SERVING = health_pb2.HealthCheckResponse.SERVING
TWO = ("--workers", "2")


def only(backend: str) -> config.Config:
    """Everything goes to ``backend``."""
    return router_config(workers=None, rules=(Split(name=f"to-{backend}", weights=((backend, 1.0),)),))


def polling(url: str) -> config.Config:
    """An engine that is asked every twentieth of a second."""
    backends = (Backend(name="one", poll=Poll(urls=(url,))),)
    return router_config(workers=2, backends=backends, rules=RULES[:1], models=Models(interval=0.05, timeout=1))


async def health(address: str) -> int:
    async with grpc.aio.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        return int((await stub.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE)).status)


def take_requests(router: RouterProcess) -> None:
    """Wait until all its workers do."""
    for address in router.listen:
        wait_for(lambda where=address: asyncio.run(health(where)) == SERVING, "readiness")  # type: ignore[misc]


@contextlib.contextmanager
def several(folder: Path, settings: config.Config, *options: str) -> Iterator[RouterProcess]:
    """A router whose workers take requests."""
    with running(folder, settings, *options) as router:
        take_requests(router)
        yield router


def decided(address: str, sent: dict[str, str] | None = None, more: dict[str, str] | None = None) -> str:
    """The rule that decides, or the refusal's code."""
    *_, reply = asyncio.run(talk(address, headers(more=more), body(sent or {})))
    if reply.WhichOneof("response") == "immediate_response":
        return str(json.loads(reply.immediate_response.body)["error"]["code"])
    return reply.dynamic_metadata["routegen"]["rule"]  # type: ignore[index, return-value]


def backend(address: str, user: str) -> str:
    *_, reply = asyncio.run(talk(address, headers(more={"x-user": user}), body({})))
    return reply.dynamic_metadata["routegen"]["backend"]  # type: ignore[index, return-value]


def begun_anew(router: RouterProcess, times: int) -> None:
    wait_for(lambda: len(router.logged("a worker was begun anew")) == times, f"{times} new workers")


def test_each_listens_decides_and_counts_and_to_operators_they_are_one(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    with (
        engine(serving("m")) as asked,
        several(tmp_path, polling(asked.url), "--ready-file", str(ready)) as router,
    ):
        wait_for(ready.exists, "readiness")
        first, second = router.listen
        told = json.loads(ready.read_text())
        assert told == {"pid": router.process.pid, "listen": [first, second], "metrics": router.status}
        assert get(router, "/readyz")[0] == 200
        assert [asyncio.run(health(address)) for address in router.listen] == [SERVING, SERVING]
        for address, times in ((first, 3), (second, 2)):
            for _ in range(times):
                assert decided(address, {"model": "m"}) == "only-candidate"
        assert decided(second, {"model": "unheard-of"}) == "model_not_found"
        found = metrics(router, decided=6)
        assert found['routegen_decisions_total{backend="one",outcome="routed",rule="only-candidate"}'] == 5
        assert found['routegen_rejections_total{code="model_not_found"}'] == 1
        assert found['routegen_decision_seconds_bucket{le="+Inf"}'] == 6
        assert (found["routegen_workers"], found["routegen_workers_wanted"]) == (2, 2)
        assert found["routegen_worker_restarts_total"] == 0
        assert found["routegen_ready"] == 1
        assert found['routegen_registry_up{backend="one"}'] == 1
        assert found["process_resident_memory_bytes"] > 60_000_000, "of all three"
        backends = json.loads(get(router, "/registry")[1])["backends"]
        assert [backend["polled"]["models"].keys() for backend in backends] == [{"m"}]
        lines = router.logged("decision")
        assert sorted(line["worker"] for line in lines) == [1, 1, 1, 2, 2, 2]
        assert "cygrpc" not in Path(f"/proc/{router.process.pid}/maps").read_text()


def test_only_one_process_asks_the_engines_and_all_know_what_it_learned(tmp_path: Path) -> None:
    with engine(serving("m")) as asked:
        settings = msgspec.structs.replace(polling(asked.url), models=Models(interval=60, timeout=1))
        with several(tmp_path, settings) as router:
            wait_for(lambda: get(router, "/readyz")[0] == 200, "readiness")
            assert [decided(address, {"model": "m"}) for address in router.listen] == ["only-candidate"] * 2
            assert asked.asked.count("/v1/models") == 1
            asked.responds(serving("n"))
            os.kill(at(router.listen[0], workers(router)), signal.SIGKILL)
            begun_anew(router, 1)
            assert decided(router.listen[0], {"model": "m"}) == "only-candidate"
            assert asked.asked.count("/v1/models") == 1


def test_news_of_an_engine_reach_all(tmp_path: Path) -> None:
    with engine(serving("m")) as asked, several(tmp_path, polling(asked.url)) as router:
        wait_for(lambda: get(router, "/readyz")[0] == 200, "readiness")
        asked.responds(serving("n"))
        one, other = router.listen
        wait_for(lambda: decided(one, {"model": "n"}) == "only-candidate", "the news")
        wait_for(lambda: decided(other, {"model": "n"}) == "only-candidate", "the news")


def test_they_agree_on_what_stays_together(tmp_path: Path) -> None:
    sticky = Split(name="sticky", weights=(("vllm", 1.0), ("sglang", 1.0)), sticky_by=Source(header="x-user"))
    with several(tmp_path, router_config(rules=(sticky,)), *TWO) as router:
        chosen = [[backend(address, f"user-{number}") for number in range(20)] for address in router.listen]
    assert chosen[0] == chosen[1]
    assert set(chosen[0]) == {"vllm", "sglang"}


def test_one_that_is_killed_is_begun_anew_on_its_address_and_what_it_counted_stays(tmp_path: Path) -> None:
    with several(tmp_path, only("vllm"), *TWO) as router:
        first, second = router.listen
        for address in router.listen:
            assert decided(address) == "to-vllm"
        metrics(router, decided=2)
        old = workers(router)
        os.kill(at(second, old), signal.SIGKILL)
        assert decided(first) == "to-vllm"
        begun_anew(router, 1)
        assert get(router, "/readyz")[0] == 200
        assert decided(second) == "to-vllm"
        found = metrics(router, decided=4)
        assert found["routegen_worker_restarts_total"] == 1
        assert found["routegen_workers"] == 2
        assert len(set(workers(router)) - set(old)) == 1
        [line] = router.logged("a worker has ended")
        assert (line["number"], line["how"]) == (2, "was ended by SIGKILL")
        assert router.stop() == 0


def test_one_whose_address_was_taken_is_tried_again_until_it_is_free(tmp_path: Path) -> None:
    with several(tmp_path, only("vllm"), *TWO) as router:
        first, second = router.listen
        victim = at(second, workers(router))
        router.process.send_signal(signal.SIGSTOP)  # so that it isn't quicker than this test
        os.kill(victim, signal.SIGKILL)
        with in_place_of(victim, second):
            router.process.send_signal(signal.SIGCONT)
            wait_for(lambda: router.logged("a worker can't be begun anew"), "a second try")
            assert decided(first) == "to-vllm"
            assert get(router, "/readyz")[0] == 200
            assert samples(router)["routegen_workers"] == 1
        begun_anew(router, 1)
        assert decided(second) == "to-vllm"


def test_a_reload_reaches_all_and_those_that_come_later_and_is_told_once(tmp_path: Path) -> None:
    with several(tmp_path, only("vllm"), *TWO) as router:
        router.rewrite(config.dump(only("sglang")))
        router.process.send_signal(signal.SIGHUP)
        wait_for(lambda: router.logged("configuration loaded"), "the reload")
        assert [decided(address) for address in router.listen] == ["to-sglang"] * 2

        router.rewrite(b"{")
        wait_for(lambda: router.logged("configuration refused; the last good one stays in force"), "refusal")
        os.kill(at(router.listen[0], workers(router)), signal.SIGKILL)
        begun_anew(router, 1)
        assert [decided(address) for address in router.listen] == ["to-sglang"] * 2
        found = samples(router)
        assert found['routegen_config_reloads_total{result="loaded"}'] == 1
        assert found['routegen_config_reloads_total{result="refused"}'] == 1
        assert len(router.logged("configuration refused; the last good one stays in force")) == 1


def test_their_number_stands_in_the_configuration_and_no_reload_changes_it(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(only("vllm"), workers=2)
    with several(tmp_path, settings) as router:
        assert len(router.listen) == 2
        router.rewrite(config.dump(msgspec.structs.replace(settings, workers=3)))
        wait_for(lambda: router.logged("configuration refused; the last good one stays in force"), "refusal")
        [line] = router.logged("configuration refused; the last good one stays in force")
        assert "workers can't change from 2 to 3 without a restart" in line["problem"]
        assert router.stop() == 0
    with several(tmp_path, settings, "--workers", "1") as router:
        assert len(router.listen) == 1


def test_a_changed_key_reaches_all(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("old")
    keyed = Backend(name="vllm", models=("m",), key=config.Key(file=str(key), send=True))

    def sent(address: str) -> str:
        *_, reply = asyncio.run(talk(address, headers(), body({})))
        pairs = {
            one.header.key: one.header.raw_value for one in reply.request_body.response.header_mutation.set_headers
        }
        return pairs["authorization"].decode()

    with several(tmp_path, router_config(workers=2, backends=(keyed,), rules=())) as router:
        assert [sent(address) for address in router.listen] == ["Bearer old"] * 2
        key.write_text("new")
        wait_for(lambda: router.logged("an engine's key has changed"), "the change")
        assert [sent(address) for address in router.listen] == ["Bearer new"] * 2
        assert not any("Bearer" in line for line in router.log.read_text().splitlines())


@pytest.mark.parametrize(("how", "alone"), [(signal.SIGTERM, True), (signal.SIGTERM, False), (signal.SIGINT, False)])
async def test_a_signal_to_one_or_all_drains_what_is_under_way(
    tmp_path: Path, how: signal.Signals, *, alone: bool
) -> None:
    """Ctrl-C in a terminal goes to a whole group of processes, a service manager's SIGTERM to all that it knows."""
    long = json.dumps({"prompt": "x" * 400_000}).encode()  # read by a process of its own
    with running(tmp_path, only("vllm"), *TWO, "--drain-seconds", "1") as router:
        await asyncio.to_thread(take_requests, router)
        async with streaming(router.listen[0]) as one, streaming(router.listen[1]) as other:
            calls, first = [one(), other()], headers(more={"content-length": str(len(long))})
            for call in calls:
                await call.write(first.SerializeToString())
                await call.read()
            await talk(router.listen[0], first, body(long))  # now it has one
            pids = workers(router)
            everybody = [*pids, *(child for pid in pids for child in children(pid, reader.__name__))]
            assert len(everybody) == 3
            for pid in () if alone else everybody:
                os.kill(pid, how)
            router.process.send_signal(how)
            wait_for(lambda: router.logged("draining"), "the drain")
            wait_for(lambda: get(router, "/readyz")[0] == 503, "the turn")
            for address in router.listen:
                assert await health(address) != SERVING
                await talk(
                    address, headers(more={"content-length": "2"}), body({})
                )  # a gateway that hasn't noticed yet is still served
            for call in calls:
                await call.write(body(long).SerializeToString())
                reply = pb.ProcessingResponse.FromString(await call.read())
                assert reply.WhichOneof("response") == "request_body"
        assert router.process.wait(PATIENCE) == 0
        assert router.logged("stopped")
        gone(*everybody)


async def test_without_the_first_process_they_finish_what_they_have_and_end(tmp_path: Path) -> None:
    with running(tmp_path, only("vllm"), *TWO) as router:
        await asyncio.to_thread(take_requests, router)
        async with streaming(router.listen[0]) as one:
            call = one()
            await call.write(headers(more={"content-length": "2"}).SerializeToString())
            await call.read()
            pids = workers(router)
            router.process.kill()
            router.process.wait(PATIENCE)
            await call.write(body({}).SerializeToString())
            reply = pb.ProcessingResponse.FromString(await call.read())
            assert reply.WhichOneof("response") == "request_body"
        gone(*pids)


def test_none_outlives_the_first_process(tmp_path: Path) -> None:
    with several(tmp_path, only("vllm"), *TWO) as router:
        asyncio.run(talk(router.listen[0], headers(), body({"prompt": "x" * 400_000})))
        pids = workers(router)
        readers = [child for pid in pids for child in children(pid, reader.__name__)]
        assert readers
        router.process.kill()
        router.process.wait(PATIENCE)
        gone(*pids, *readers)
        for address in router.listen:
            with socket.create_server(("127.0.0.1", int(address.rpartition(":")[2]))):
                pass


@contextlib.contextmanager
def in_place_of(pid: int, address: str) -> Iterator[None]:
    """Listen where a killed process did; its first thread's end isn't yet that of its sockets."""
    gone(pid)
    made: list[socket.socket] = []

    def taken() -> bool:
        with contextlib.suppress(OSError):
            made.append(socket.create_server(("127.0.0.1", int(address.rpartition(":")[2]))))
        return bool(made)

    wait_for(taken, f"{address} to be free")
    with made[0]:
        yield


@contextlib.contextmanager
def taken_behind_a_free_one() -> Iterator[int]:
    """A port where somebody listens, and nobody on the one before it."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as taken, contextlib.suppress(OSError):
            port = int(taken.getsockname()[1])
            socket.create_server(("127.0.0.1", port - 1)).close()
            yield port
            return


def test_what_is_in_the_way_of_a_start_is_said_once_and_nothing_stays(tmp_path: Path) -> None:
    good, bad, tight = tmp_path / "router.json", tmp_path / "bad.json", tmp_path / "tight.json"
    good.write_bytes(config.dump(only("vllm")))
    bad.write_bytes(b'{"name": 5}')
    tight.write_bytes(config.dump(msgspec.structs.replace(only("vllm"), max_body_bytes=6 << 20)))

    def refused(file: Path, *more: str) -> str:
        command = (sys.executable, "-m", "routegen_router", "--config", str(file), "--metrics", "")
        done = subprocess.run([*command, *more], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1, done
        assert done.stdout == ""
        assert done.stderr.count("\n") == 1, done.stderr
        return done.stderr

    with taken_behind_a_free_one() as port:
        said = refused(good, "--listen", f"127.0.0.1:{port - 1}", *TWO)
        assert f"can't listen on 127.0.0.1:{port}: Address already in use" in said
    assert "bad.json: " in refused(bad, "--listen", "127.0.0.1:0", *TWO)
    assert "worker 2 would need port 65536" in refused(good, "--listen", "127.0.0.1:65535", *TWO)
    twice = ("--listen", "127.0.0.1:7001", "--listen", "127.0.0.1:7002", *TWO)
    assert "two workers would listen on 127.0.0.1:7002" in refused(good, *twice)
    said = refused(tight, "--listen", "127.0.0.1:0", "--workers", "3")
    assert "max_inflight_bytes is 5592405 for each of 3 workers, below max_body_bytes (6291456)" in said


def test_a_worker_that_ends_before_it_listens_ends_the_start(tmp_path: Path) -> None:
    file = tmp_path / "router.json"
    file.write_bytes(config.dump(only("vllm")))
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\nif 'routegen_router.worker' in sys.orig_argv: os._exit(3)\n"
    )
    command = (sys.executable, "-m", "routegen_router", "--config", str(file), "--metrics", "", *TWO)
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [*command, "--listen", "127.0.0.1:0"], capture_output=True, text=True, timeout=60, check=False, env=environment
    )
    assert done.returncode == 1
    said = "routegen router: a worker ended with exit code 3 before it listened; the log may say why\n"
    assert done.stderr == said


def test_bodies_in_flight_are_divided_among_them(tmp_path: Path) -> None:
    """16 MiB for the router are 8 for each: a second body of 5 doesn't fit beside a first."""

    async def second(address: str) -> str:
        async with streaming(address) as open_stream:
            call = open_stream()
            await call.write(headers(more={"content-length": "5000000"}).SerializeToString())
            await call.read()
            [reply] = await talk(address, headers(more={"content-length": "5000000"}))
            return str(json.loads(reply.immediate_response.body)["error"]["code"])

    with several(tmp_path, router_config(), *TWO) as router:
        assert asyncio.run(second(router.listen[1])) == "router_overloaded"


def test_lines_of_several_writers_stay_whole(tmp_path: Path) -> None:
    """Into one pipe, as a container's log is."""
    file = tmp_path / "router.json"
    file.write_bytes(config.dump(only("vllm")))
    ready = tmp_path / "ready"
    command = [
        *(sys.executable, "-m", "routegen_router", "--config", str(file), "--listen", "127.0.0.1:0", *TWO),
        *("--metrics", "", "--ready-file", str(ready), "--drain-seconds", "0"),
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    written: list[bytes] = []
    assert process.stderr is not None
    reading = threading.Thread(target=lambda: written.append(process.stderr.read()))  # type: ignore[union-attr]
    reading.start()
    try:
        wait_for(ready.exists, "readiness")

        async def many(address: str) -> None:
            async with streaming(address) as open_stream:

                async def one() -> None:
                    call = open_stream()
                    await call.write(headers(more={"x-request-id": "i" * 120}).SerializeToString())
                    await call.read()
                    await call.write(body({}).SerializeToString())
                    await call.read()

                for _ in range(6):
                    await asyncio.gather(*(one() for _ in range(100)))

        async def both() -> None:
            await asyncio.gather(*map(many, json.loads(ready.read_text())["listen"]))

        asyncio.run(both())
    finally:
        process.terminate()
        process.wait(PATIENCE)
        reading.join()
        process.stderr.close()
    lines = [json.loads(line) for line in written[0].splitlines()]
    assert sum(line["message"] == "decision" for line in lines) == 1200
