"""``routegen up`` with a real Envoy and a real router: from the first line to the last process."""

from __future__ import annotations

import asyncio
import http.client
import itertools
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Self

import pytest

from routegen.envoy import binary
from routegen.mock_engine import SGLANG, Behaviour, MockEngine
from support.command import ROUTEGEN
from support.engines import Request, Respond, engine, serving
from support.up import PATIENCE, TWO_ENGINES, Up, request, up

HELLO = {"messages": [{"role": "user", "content": "a secret prompt"}]}

KEYED = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: keyed}
spec:
  gateway: {target: envoy}
  backends:
    a:
      endpoints: ["ADDRESS"]
      ownedBy: sglang
"""


@pytest.fixture
def routes(tmp_path: Path) -> Path:
    """A copy of the example, to be changed."""
    copy = tmp_path / "routes.yaml"
    copy.write_text(TWO_ENGINES.read_text())
    return copy


def gone(running: Up) -> bool:
    """Whether nothing is left within a moment."""
    end = time.monotonic() + 5
    while running.left_behind() and time.monotonic() < end:
        time.sleep(0.05)
    return not running.left_behind()


def test_it_starts_and_prints_each_decision_but_no_prompt() -> None:
    with up("-f", str(TWO_ENGINES), "--mock-engines") as running:
        gateway = running.ready()
        status, headers, answer = request(gateway, {"inference_server": "sglang", **HELLO})
        assert (status, headers["x-inference-server"]) == (200, "sglang")
        assert answer["choices"][0]["message"]["content"].startswith("sglang/mock-model:")
        running.says(r"POST /v1/chat/completions +200 +→ sglang by body:inference_server +\d+ ms")
        status, _, answer = request(gateway, {"inference_server": "nobody", **HELLO})
        assert (status, answer["error"]["code"]) == (400, "unknown_inference_server")
        running.says(r"POST /v1/chat/completions +400 +✗ unknown_inference_server")
        assert "secret" not in running.text


def test_the_lines_that_it_prints_to_paste_do_what_they_say() -> None:
    with up("-f", str(TWO_ENGINES), "--mock-engines") as running:
        running.ready()
        lines = [line.strip() for line in running.lines]
        pasted = {}
        for title, line in itertools.pairwise(lines):
            if title.startswith("# ") and line.startswith("curl -s "):
                _, _, url, *rest = shlex.split(line)
                gateway, _, path = url.removeprefix("http://").partition("/")
                body = json.loads(rest[rest.index("-d") + 1]) if rest else None
                pasted[title] = request(gateway, body, path=f"/{path}")
    assert list(pasted) == ["# to vllm", "# to sglang", "# by the split", "# the models"]
    assert pasted["# to vllm"][1]["x-inference-server"] == "vllm"
    assert pasted["# to sglang"][1]["x-inference-server"] == "sglang"
    assert pasted["# by the split"][1]["x-inference-server"] in {"vllm", "sglang"}
    assert [entry["id"] for entry in pasted["# the models"][2]["data"]] == ["mock-model"]


class Load:
    """Clients that send one request after the other and count the answers."""

    def __init__(self, gateway: str, clients: int = 4) -> None:
        self.gateway, self.answers = gateway, Counter[str]()
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        connection = http.client.HTTPConnection(self.gateway, timeout=PATIENCE)
        body = {"model": "mock-model", **HELLO} | ({"inference_server": "vllm"} if number % 2 else {})
        while not self._end.is_set():
            try:
                connection.request("POST", "/v1/chat/completions", json.dumps(body))
                response = connection.getresponse()
                text = response.read().decode()
                self.answers["200" if response.status == 200 else f"{response.status} {text}"] += 1
            except OSError as error:
                self.answers[repr(error)] += 1
                connection.close()
        connection.close()


def test_changes_are_taken_over_and_mistakes_refused_without_a_failed_request(routes: Path) -> None:
    good = routes.read_text()
    third = good.replace("  rules:", "    third: {endpoints: ['127.0.0.1:1']}\n  rules:")
    with up("-f", str(routes), "--mock-engines") as running:
        gateway = running.ready()
        with Load(gateway) as load:
            routes.write_text(third.replace("vllm: 50, sglang: 50", "vllm: 1, sglang: 1, third: 98"))
            running.says("taken over; backends: vllm, sglang, third")
            assert request(gateway, {"inference_server": "third", **HELLO})[0] == 200

            seen = len(running.lines)  # another owner is another mock engine: the backend moves
            routes.write_text(third.replace("ownedBy: vllm", "ownedBy: vllm-next"))
            running.says("taken over", seen)
            assert request(gateway, {"inference_server": "vllm-next", **HELLO})[1]["x-inference-server"] == "vllm"

            seen = len(running.lines)
            routes.write_text(good.replace("split: {vllm: 50, sglang: 50}", "split: {vllm: 50, sgalng: 50}"))
            running.says(r'routes\.yaml:\d+ \$\.spec\.rules\[2\]\.split.*"sgalng"', seen)
            running.says("the last good configuration stays in force", seen)
            assert request(gateway, {"inference_server": "third", **HELLO})[0] == 200

            seen = len(running.lines)
            routes.write_text(good.replace("  name: qwen-compare", "  name: another"))
            running.says("metadata can't change while Envoy runs: end `routegen up` and start it again", seen)

            seen = len(running.lines)
            routes.write_text(good)
            running.says("taken over; backends: vllm, sglang$", seen)
            assert request(gateway, {"inference_server": "third", **HELLO})[0] == 400
            answered = load.answers["200"]
            time.sleep(0.2)
        assert load.answers["200"] > answered > 100
    assert list(load.answers) == ["200"]


async def test_what_the_router_refuses_changes_nothing_and_what_it_said_before_is_no_answer(routes: Path) -> None:
    """A key that isn't there is a mistake that only the router can see, after Envoy has taken the routes."""
    key = routes.with_name("key")
    async with (
        MockEngine(SGLANG, Behaviour(models=("m",))) as one,
        MockEngine(SGLANG, Behaviour(models=("m",))) as two,
    ):
        good = KEYED.replace("ADDRESS", f"{one.host}:{one.port}")
        bad = KEYED.replace("ADDRESS", f"{two.host}:{two.port}") + f"      apiKey: {{file: {key}}}\n"
        await asyncio.to_thread(_refused_and_mended, routes, key, good, bad)
        assert not two.recorder.generations()


def test_what_was_refused_for_want_of_a_key_is_taken_as_soon_as_the_key_is_there(routes: Path) -> None:
    key = routes.with_name("key")
    with engine(serving("m")) as one:
        plain = KEYED.replace("ADDRESS", f"127.0.0.1:{one.port}")
        routes.write_text(plain)
        with up("-f", str(routes)) as running:
            running.ready()
            seen = len(running.lines)
            routes.write_text(plain + f"      apiKey: {{file: {key}}}\n")
            running.says("^the last good configuration stays in force", seen)
            key.write_text("sk-1")
            running.says("taken over", seen)
            assert len([line for line in running.lines if line.startswith("the router refuses")]) == 1


def test_no_engine_is_shown_anothers_key_while_address_and_key_change_at_once(routes: Path) -> None:
    """Back and forth under load; each engine takes its own key and no other."""
    strangers: list[str] = []
    for name in ("one", "two"):
        routes.with_name(name).write_text(f"sk-{name}")

    def own(name: str) -> Respond:
        def respond(asked: Request) -> None:
            if (shown := asked.headers.get("authorization")) != f"Bearer sk-{name}":
                strangers.append(f"{name} was shown {shown}")
            serving("mock-model")(asked)

        return respond

    with engine(own("one")) as one, engine(own("two")) as two:
        texts = [
            KEYED.replace("ADDRESS", f"127.0.0.1:{at.port}").replace("  a:", "  vllm:")
            + f"      apiKey: {{file: {routes.with_name(name)}, send: true}}\n"
            for name, at in (("one", one), ("two", two))
        ]
        routes.write_text(texts[0])
        with up("-f", str(routes)) as running:
            with Load(running.ready()) as load:
                for text in (texts[1], texts[0], texts[1]):
                    seen = len(running.lines)
                    routes.write_text(text)
                    running.says("taken over", seen)
            assert load.answers["200"] > 100
    assert not strangers


def _refused_and_mended(routes: Path, key: Path, good: str, bad: str) -> None:
    routes.write_text(good)
    with up("-f", str(routes)) as running:
        gateway = running.ready()
        seen = len(running.lines)
        routes.write_text(bad)
        running.says("the key of backend 'a': the file .* can't be read", seen)
        running.says("the last good configuration stays in force", seen)
        for _ in range(5):
            assert request(gateway, HELLO)[0] == 200

        key.write_text("sk-1")
        keyed = good + f"      apiKey: {{file: {key}}}\n"
        routes.write_text(keyed)
        running.says("taken over", seen)

        seen = len(running.lines)
        key.unlink()
        running.says("a key can't be read", seen)
        key.write_text("sk-2")
        routes.write_text(keyed + "  failover: {enabled: false}\n")
        running.says("taken over", seen)

        seen = len(running.lines)
        routes.write_text(bad.replace(str(key), f"{key}-gone"))
        running.says("^the last good configuration stays in force", seen)
        seen = len(running.lines)
        routes.write_text(keyed)  # what the router has in force already
        running.says("taken over", seen)
        assert not any(line.startswith("the router refuses") for line in running.lines[seen:])


def test_a_stream_ends_well_though_its_backend_is_removed_meanwhile(routes: Path) -> None:
    good = routes.read_text()
    routes.write_text(good.replace("  rules:", "    slow: {endpoints: ['127.0.0.1:1']}\n  rules:"))
    command = [sys.executable, "-m", "routegen.mock_engine", "--port", "0", "--tpot", "0.1", "--answer-tokens", "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as engine:
        try:
            assert engine.stdout is not None
            url = engine.stdout.readline().split(" at ")[1].strip()
            with up("-f", str(routes), "--mock-engines", "--engine", f"slow={url}") as running:
                connection = http.client.HTTPConnection(running.ready(), timeout=PATIENCE)
                body = json.dumps({"inference_server": "slow", "stream": True, **HELLO})
                connection.request("POST", "/v1/chat/completions", body)
                answer = connection.getresponse()
                answer.readline()
                routes.write_text(good)
                running.says("taken over; backends: vllm, sglang$")
                assert answer.read().endswith(b"data: [DONE]\n\n")
                connection.close()
        finally:
            engine.terminate()


def test_one_ctrl_c_ends_everything_and_leaves_no_process_and_no_file() -> None:
    with up("-f", str(TWO_ENGINES), "--mock-engines") as running:
        running.ready()
        [folder] = running.temporary.iterdir()
        assert folder.stat().st_mode & 0o777 == 0o700
        assert len(running.processes()) == 2
        assert running.end(signal.SIGINT) == 0
        assert running.left_behind() == []
        assert "Traceback" not in running.text


def test_sigterm_while_it_is_still_starting_ends_everything_too() -> None:
    with up("-f", str(TWO_ENGINES), "--mock-engines") as running:
        end = time.monotonic() + PATIENCE
        while not running.processes() and time.monotonic() < end:
            time.sleep(0.01)
        assert running.end(signal.SIGTERM) == 0
        assert running.left_behind() == []
        assert "Traceback" not in running.text


def test_a_ctrl_c_while_envoy_is_asked_for_its_version_is_no_fault_of_envoys(tmp_path: Path) -> None:
    """A terminal sends the signal to the whole group."""
    asked, envoy = tmp_path / "asked", tmp_path / "envoy"
    envoy.write_text(f'#!/bin/sh\ntouch {asked}\nsleep 1\nexec {binary.require()} "$@"\n')
    envoy.chmod(0o755)
    with up("-f", str(TWO_ENGINES), "--mock-engines", env={"ENVOY_BIN": str(envoy)}, session=True) as running:
        end = time.monotonic() + PATIENCE
        while not asked.exists() and time.monotonic() < end:
            time.sleep(0.01)
        os.killpg(running.process.pid, signal.SIGINT)
        assert running.process.wait(PATIENCE) == 0
        running.says("^ended$")
        assert gone(running)


def test_a_second_ctrl_c_does_not_wait_for_a_process_that_will_not_end() -> None:
    with up("-f", str(TWO_ENGINES), "--mock-engines") as running:
        running.ready()
        [envoy] = running.processes("--disable-hot-restart")
        os.kill(envoy, signal.SIGSTOP)
        running.process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            running.process.wait(0.5)
        assert running.end(signal.SIGINT) == 1
        assert gone(running)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_no_process_outlives_it_even_when_it_is_killed() -> None:
    with up("-f", str(TWO_ENGINES), "--mock-engines") as running:
        running.ready()
        running.end(signal.SIGKILL)
        end = time.monotonic() + 5
        while running.processes() and time.monotonic() < end:
            time.sleep(0.05)
        assert running.processes() == []


@pytest.mark.parametrize(("program", "name"), [("--disable-hot-restart", "Envoy"), ("routegen_router", "the router")])
def test_the_death_of_a_process_ends_everything_with_a_sentence(program: str, name: str) -> None:
    with up("-f", str(TWO_ENGINES), "--mock-engines") as running:
        running.ready()
        [pid] = running.processes(program)
        os.kill(pid, signal.SIGKILL)
        assert running.process.wait(PATIENCE) == 1
        running.says(f"^routegen: {name} was ended by SIGKILL")
        assert gone(running)


def test_it_ends_when_nobody_reads_its_output_any_more() -> None:
    with tempfile.TemporaryDirectory(prefix="up-") as temporary:
        process = subprocess.Popen(
            [*ROUTEGEN, "up", "-f", str(TWO_ENGINES), "--mock-engines", "--port", "0"],
            stdout=subprocess.PIPE,
            env={**os.environ, "TMPDIR": temporary},
            text=True,
        )
        with process:
            assert process.stdout is not None
            lines = list(itertools.takewhile(lambda line: not line.startswith("Ready"), process.stdout))
            process.stdout.close()
            request(lines[0].split()[0].removeprefix("http://"), HELLO)
            assert process.wait(PATIENCE) == 0
        assert list(Path(temporary).iterdir()) == []


@pytest.mark.parametrize("option", ["--port", "--admin-port"])
def test_a_busy_port_is_named_with_the_option_that_chooses_another(option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with up("-f", str(TWO_ENGINES), "--mock-engines", option, port) as running:
            assert running.process.wait(PATIENCE) == 1
            running.says(f"^routegen: port {port} on 127.0.0.1 is in use; choose another with {option}")
            assert gone(running)


def test_a_missing_binary_is_an_error_that_says_what_to_do() -> None:
    with up("-f", str(TWO_ENGINES), "--mock-engines", env={"ENVOY_BIN": "/nowhere/envoy"}) as running:
        assert running.process.wait(PATIENCE) == 1
        running.says("^routegen: ENVOY_BIN is /nowhere/envoy, which is no program that can be run")
        assert gone(running)


def test_backends_in_a_cluster_need_a_place_on_this_machine() -> None:
    with up("-f", str(TWO_ENGINES), "--engine", "vllm=http://127.0.0.1:1") as running:
        assert running.process.wait(PATIENCE) == 1
        running.says(
            r"^routegen: not on this machine: backend sglang is the Kubernetes Service inference/\S+:8000\. "
            "Say where an engine is with --engine sglang=http://127.0.0.1:8001, or use --cluster or --mock-engines"
        )


@pytest.fixture
def keyed(tmp_path: Path) -> Path:
    """Routes for Envoy Gateway, to be given a key."""
    file = tmp_path / "routes.yaml"
    file.write_text(KEYED.replace("envoy", "envoy-gateway").replace("ADDRESS", "127.0.0.1:9"))
    return file


def with_key(file: Path, key: str) -> None:
    file.write_text(f"{file.read_text()}      apiKey: {key}\n")


def test_a_key_in_a_secret_is_said_not_to_be_read_here(keyed: Path) -> None:
    with_key(keyed, "{secretName: s}")
    with (
        engine(lambda asked: asked.answer(401, b"{}")) as locked,
        up("-f", str(keyed), "--engine", f"a=http://127.0.0.1:{locked.port}") as running,
    ):
        running.says("backend a wants a key.*: `up` reads no Secrets; `env:` or `file:` can stand beside `secretName:`")


def test_a_key_in_a_variable_is_read_whatever_the_files_target_is(keyed: Path) -> None:
    with_key(keyed, "{env: ROUTEGEN_TEST_KEY}")
    with (
        engine(needing("Bearer sk-1")) as locked,
        up(
            *("-f", str(keyed), "--engine", f"a=http://127.0.0.1:{locked.port}"),
            env={"ROUTEGEN_TEST_KEY": "sk-1"},
        ) as running,
    ):
        assert request(running.ready(), {"model": "m", **HELLO})[0] == 200
        assert "wants a key" not in running.text


def needing(authorization: str) -> Respond:
    """An engine that lists its models to those who show this."""

    def respond(asked: Request) -> None:
        if asked.path == "/v1/models" and asked.headers.get("authorization") != authorization:
            asked.answer(401, b"{}")
        else:
            serving("m")(asked)

    return respond


@pytest.mark.parametrize("key", ["{env: ROUTEGEN_NO_KEY}", "{env: ROUTEGEN_NO_KEY, send: true}", "{file: /nowhere}"])
def test_a_key_that_is_not_here_is_one_sentence_with_its_line_and_mock_engines_want_none(keyed: Path, key: str) -> None:
    with_key(keyed, key)
    with up("-f", str(keyed)) as running:
        assert running.process.wait(PATIENCE) == 1
        running.says(rf"^{keyed}:10 \$\.spec\.backends\.a\.apiKey: the (environment variable|file) \S+ ")
        running.says(r"\(end\)")
        assert len(running.lines) == 2
        assert gone(running)
    with up("-f", str(keyed), "--mock-engines") as running:
        assert request(running.ready(), {"model": "mock-model", **HELLO})[0] == 200


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [(404, b"{}", "answered 404, not 200"), (500, b"{}", "answered 500, not 200"), (200, b"{}", "the answer is not")],
)
def test_an_engine_that_answers_something_else_is_not_said_to_be_silent(
    keyed: Path, status: int, body: bytes, words: str
) -> None:
    with (
        engine(lambda asked: asked.answer(status, body)) as other,
        up("-f", str(keyed), "--engine", f"a=http://127.0.0.1:{other.port}") as running,
    ):
        running.says(rf"of backend a answers at \S+/v1/models with something else than its models \({words}")
        assert "start it" not in running.text
        assert "does not answer" not in running.text


def test_an_engine_for_a_backend_that_is_not_there_names_those_that_are() -> None:
    with up("-f", str(TWO_ENGINES), "--engine", "vlm=http://127.0.0.1:1") as running:
        assert running.process.wait(PATIENCE) == 1
        running.says(r'^routegen: --engine: no backend is called "vlm"; did you mean "vllm"\? known: vllm, sglang')


def test_an_engine_address_with_a_path_is_misuse() -> None:
    with up("-f", str(TWO_ENGINES), "--engine", "vllm=http://127.0.0.1:1/v1") as running:
        assert running.process.wait(PATIENCE) == 2
        running.says("has more than scheme, host and port; it looks like http://127.0.0.1:8001")


async def test_an_engine_that_does_not_answer_is_named_and_waited_for() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    with up("-f", str(TWO_ENGINES), "--mock-engines", "--engine", f"sglang=http://127.0.0.1:{port}") as running:
        line = running.says("the engine of backend sglang does not answer").string
        assert f"http://127.0.0.1:{port}/v1/models (nothing listens there: connections are refused)" in line
        assert "start it, or say where it is with --engine sglang=URL" in line
        gateway = await asyncio.to_thread(running.ready)  # one engine that is down takes nothing from the others
        status, _, _ = await asyncio.to_thread(request, gateway, {"model": "mock-model", **HELLO})
        assert status == 200
        async with MockEngine(SGLANG, Behaviour(models=("qwen",)), port=port) as engine:
            await asyncio.to_thread(running.says, "the engine of backend sglang answers")
            status, _, _ = await asyncio.to_thread(request, gateway, {"model": "qwen", **HELLO})
            assert status == 200
            assert engine.recorder.generations()[0].json == {"model": "qwen", **HELLO}
    assert not re.search("Traceback", running.text)
