"""``routegen up --cluster``: engines in a cluster, forwarded. That needs a kubelet, so kubectl is a stand-in here.

It takes kubectl's arguments and prints kubectl's line, and leads to an engine on this machine.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from routegen.mock_engine import PERSONALITIES
from support.gateway import engines
from support.router import wait_for
from support.up import PATIENCE, TWO_ENGINES, request, up

STAND_IN = '''#!{python}
"""`kubectl port-forward`, as far as it is used: arguments are recorded, connections lead to a port of this machine."""
import json, os, socket, sys, threading
with open({log!r}, "a") as log:
    log.write(json.dumps([os.getpid(), *sys.argv[1:]]) + "\\\\n")
[service] = [one for one in sys.argv if one.startswith("service/")]
engines = json.load(open({engines!r}))
name = service.removeprefix("service/").partition("-")[0]
if name not in engines:
    sys.exit(f'Error from server (NotFound): services "{{name}}" not found')
local = int(sys.argv[-1].partition(":")[0] or 0)
listener = socket.create_server(("127.0.0.1", local))
print(f"Forwarding from 127.0.0.1:{{listener.getsockname()[1]}} -> 8000", flush=True)
def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass
while True:
    client, _ = listener.accept()
    server = socket.create_connection(("127.0.0.1", engines[name]))
    for pair in ((client, server), (server, client)):
        threading.Thread(target=pump, args=pair, daemon=True).start()
'''


@pytest.fixture
def kubectl(tmp_path: Path) -> Path:
    """The folder with the stand-in and its files."""
    files = {"python": sys.executable, "log": str(tmp_path / "calls"), "engines": str(tmp_path / "engines")}
    program = tmp_path / "kubectl"
    program.write_text(STAND_IN.format(**files).replace("\\\\n", "\\n"), encoding="utf-8")
    program.chmod(0o755)
    return tmp_path


def environment(kubectl: Path) -> dict[str, str]:
    return {"PATH": f"{kubectl}{os.pathsep}{os.environ['PATH']}"}


def calls(kubectl: Path) -> list[list[str]]:
    return [json.loads(line) for line in (kubectl / "calls").read_text(encoding="utf-8").splitlines()]


def test_engines_are_forwarded_and_a_lost_forward_comes_back_on_its_port(kubectl: Path) -> None:
    models = {name: (PERSONALITIES[name], ["Qwen/Qwen2.5-0.5B-Instruct"]) for name in ("vllm", "sglang")}
    with engines(models) as running:
        (kubectl / "engines").write_text(json.dumps({name: engine.port for name, engine in running.items()}))
        options = ["-f", str(TWO_ENGINES), "--cluster", "--context", "staging"]
        with up(*options, env=environment(kubectl)) as gateway:
            address = gateway.ready()
            first = calls(kubectl)
            assert [call[1:9] for call in first] == [
                ["--context", "staging", "--namespace", "inference", "port-forward", "--address", "127.0.0.1", service]
                for service in (
                    "service/vllm-qwen2-5-0-5b-kserve-workload-svc",
                    "service/sglang-qwen2-5-0-5b-kserve-workload-svc",
                )
            ]
            for name in running:
                status, headers, _ = request(address, {"inference_server": name, "messages": []})
                assert (status, headers["x-inference-server"]) == (200, name)
            os.kill(int(first[0][0]), signal.SIGKILL)
            gateway.says("lost the forward to inference/vllm-qwen2-5-0-5b-kserve-workload-svc")
            gateway.says("the forward to inference/vllm-qwen2-5-0-5b-kserve-workload-svc is back")
            assert calls(kubectl)[-1][-1].endswith(":8000")
            assert calls(kubectl)[-1][-1] != ":8000", "the same port again"
            wait_for(
                lambda: request(address, {"inference_server": "vllm", "messages": []})[0] == 200,
                "requests to be served",
            )
            assert gateway.end() == 0
        for pid, *_ in calls(kubectl):
            assert not Path(f"/proc/{pid}").exists()


def test_a_service_that_is_not_there_is_said_in_kubectls_words(kubectl: Path) -> None:
    (kubectl / "engines").write_text("{}")
    with up("-f", str(TWO_ENGINES), "--cluster", env=environment(kubectl)) as running:
        assert running.process.wait(PATIENCE) == 1
        running.says("^routegen: kubectl port-forward to inference/vllm-qwen2-5-0-5b-kserve-workload-svc ended")
        running.says('Error from server .NotFound.: services "vllm" not found')


def test_without_kubectl_it_says_so(tmp_path: Path) -> None:
    with up("-f", str(TWO_ENGINES), "--cluster", env={"PATH": str(tmp_path)}) as running:
        assert running.process.wait(PATIENCE) == 1
        running.says("^routegen: --cluster forwards with kubectl, which is not on PATH")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [(["--cluster", "--mock-engines"], "take one of them"), (["--context", "x"], "--context goes with --cluster")],
)
def test_options_that_do_not_go_together(options: list[str], sentence: str) -> None:
    with up("-f", str(TWO_ENGINES), *options) as running:
        assert running.process.wait(PATIENCE) == 2
        running.says(sentence)
