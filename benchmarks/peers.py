"""Setups that aren't routegen: Envoy by itself, and what else routes by the body. Each with its own defaults."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
import venv
from pathlib import Path

import envoys
import go_programs
from bodies import ENGINES
from go_programs import TOOLS, MissingError
from processes import PATIENCE, Watched, free_port, start, wait_for
from setups import Arm, Place, Setup

EXT_PROC = "envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor"
JSON_TO_METADATA = "envoy.extensions.filters.http.json_to_metadata.v3.JsonToMetadata"
VLLM_ROUTER = "vllm-router==0.1.17"
SMG = "smg==1.13.0"


def alone(place: Place) -> Arm:
    """Start an Envoy that asks nobody."""
    port = free_port()
    return _arm(port, envoys.run(place, "alone", envoys.lean(place, port, [], [], None), port))


def json_to_metadata(place: Place) -> Arm:
    """Start an Envoy that reads ``model`` itself and routes by the metadata that it makes of it."""
    port = free_port()
    on_present = {"metadata_namespace": "model", "key": "model"}
    rule = {"selectors": [{"key": "model"}], "on_present": on_present, "on_missing": {**on_present, "value": "none"}}
    reading = envoys.extension("envoy.filters.http.json_to_metadata", JSON_TO_METADATA, request_rules={"rules": [rule]})
    by = {
        "dynamic_metadata": [
            {"filter": "model", "path": [{"key": "model"}], "value": {"string_match": {"exact": "ENGINE"}}}
        ]
    }
    return _arm(port, envoys.run(place, "metadata", envoys.lean(place, port, [reading], [], by), port))


def bbr(place: Place, *, streaming: bool) -> Arm:
    """Start body-based routing; it puts ``model`` into a header.

    It wants a Kubernetes configuration at its start; with its one plugin named it never uses it.

    :param streaming: as its chart sets it up: bodies of requests and answers streamed both ways; else request bodies
        alone, buffered by Envoy.
    """
    program = go_programs.bbr()
    name = "bbr-streaming" if streaming else "bbr"
    kubeconfig = place.folder / "kubeconfig"
    user = {"name": "none", "context": {"cluster": "none", "user": "none"}}
    kubeconfig.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "none",
                "contexts": [user],
                "users": [{"name": "none", "user": {}}],
                "clusters": [{"name": "none", "cluster": {"server": "http://127.0.0.1:1"}}],
            }
        )
    )
    port, grpc_port = free_port(), free_port()
    plugin = {"fieldName": "model", "headerName": "X-Gateway-Model-Name"}
    command = [
        *(str(program), "--grpc-port", str(grpc_port), "--grpc-health-port", str(free_port())),
        *("--metrics-port", str(free_port()), "--metrics-endpoint-auth=false", "--secure-serving=false"),
        *("--tracing=false", "--enable-pprof=false", f"--streaming={str(streaming).lower()}"),
        *("--plugin", f"body-field-to-header:model:{json.dumps(plugin)}"),
    ]
    log = place.folder / f"{name}.log"
    router = start(place.stack, command, log, {"KUBECONFIG": str(kubeconfig)})
    wait_for(grpc_port, log)
    mode = {"request_header_mode": "SEND", "request_body_mode": "BUFFERED", "response_header_mode": "SKIP"}
    if streaming:
        mode = {f"{side}_header_mode": "SEND" for side in ("request", "response")}
        mode |= {f"{side}_body_mode": "FULL_DUPLEX_STREAMED" for side in ("request", "response")}
        mode |= {f"{side}_trailer_mode": "SEND" for side in ("request", "response")}
    asking = envoys.extension(
        "envoy.filters.http.ext_proc",
        EXT_PROC,
        grpc_service={"envoy_grpc": {"cluster_name": "router"}, "timeout": "30s"},
        message_timeout="30s",
        processing_mode=mode,
    )
    by = {"headers": [{"name": "x-gateway-model-name", "string_match": {"exact": "ENGINE"}}]}
    clusters = [envoys.cluster("router", grpc_port, http2=True)]
    return _arm(port, envoys.run(place, name, envoys.lean(place, port, [asking], clusters, by), port), router)


def vllm_router(place: Place) -> Arm:
    """Start vLLM's router, a proxy in Rust, choosing the engine by model."""
    return _rust(
        place, VLLM_ROUTER, ["vllm-router", "--policy", "round_robin", "--log-level", "warning"], "--max-payload-size"
    )


def smg(place: Place) -> Arm:
    """Start Shepherd Model Gateway, a proxy in Rust, choosing the engine by model."""
    return _rust(place, SMG, ["smg", "launch", "--policy", "round_robin", "--log-level", "warn"], "--max-payload-size")


def _rust(place: Place, requirement: str, command: list[str], payload: str) -> Arm:
    programs = _installed(requirement)
    port, name = free_port(), command[0]
    log = place.folder / f"{name}.log"
    options = ["--host", "127.0.0.1", "--port", str(port), "--enable-igw", payload, str(1 << 26)]
    options += ["--prometheus-host", "127.0.0.1", "--prometheus-port", str(free_port())]
    proxy = start(place.stack, [str(programs / name), *command[1:], *options], log)
    wait_for(port, log)
    for engine in ENGINES:
        _post(
            f"http://127.0.0.1:{port}/workers", {"url": f"http://127.0.0.1:{place.engines[engine]}", "model_id": engine}
        )
    ends = time.monotonic() + PATIENCE
    for engine in ENGINES:
        hello = {"model": engine, "messages": [{"role": "user", "content": "hello"}]}
        while not _post(f"http://127.0.0.1:{port}{envoys.PATH}", hello):
            if time.monotonic() > ends:
                raise TimeoutError(f"{name} doesn't route; its log ends: {log.read_text()[-500:]}")
            time.sleep(0.2)
    return _arm(port, proxy)


def _installed(requirement: str) -> Path:
    """The folder of a package's programs, in an environment of its own.

    :raises MissingError: it can't be installed here.
    """
    home = TOOLS / requirement.replace("==", "-")
    ready = home / ".ready"
    if not ready.exists():
        print(f"installing {requirement} (once)", flush=True)
        venv.create(home, with_pip=True)
        pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--only-binary", ":all:", requirement]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise MissingError(f"pip install {requirement} failed: {done.stderr.strip()[-300:]}")
        ready.touch()
    return home / "bin"


def _post(url: str, document: object) -> bool:
    request = urllib.request.Request(url, json.dumps(document).encode(), {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return bool(answer.status < 300)  # noqa: PLR2004 - HTTP's good answers
    except urllib.error.URLError:
        return False


def _arm(port: int, proxy: Watched, *router: Watched) -> Arm:
    return Arm(f"http://127.0.0.1:{port}{envoys.PATH}", (proxy,), router)


ALONE = Setup("Envoy alone", "one route, no router: everything goes to one engine", alone, chooses=False)
SETUPS = (
    Setup("json_to_metadata", "Envoy's own filter reads `model`; no router", json_to_metadata),
    Setup(
        "BBR, buffered",
        f"body-based routing {go_programs.BBR_VERSION} (Go), request bodies buffered by Envoy",
        lambda place: bbr(place, streaming=False),
    ),
    Setup(
        "BBR, streamed",
        "the same as its chart sets it up: all bodies streamed through it",
        lambda place: bbr(place, streaming=True),
    ),
    Setup("vllm-router", f"{VLLM_ROUTER} (Rust): the proxy is the router", vllm_router),
    Setup("smg", f"{SMG} (Rust): the proxy is the router", smg),
)
