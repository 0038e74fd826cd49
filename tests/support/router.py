"""A router as a real process, and a scripted Envoy: a raw gRPC client that speaks external processing to it."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import grpc

from routegen_router import config
from routegen_router._pb import extproc_pb2 as pb
from routegen_router.request import Source
from routegen_router.rules import Lookup, Rule, Split

PROCESS = "/envoy.service.ext_proc.v3.ExternalProcessor/Process"
PATIENCE = 20.0
"""Seconds that anything may take on a busy machine."""

VLLM = config.Backend(name="vllm", owner="vllm", models=("shared", "only-vllm"))
SGLANG = config.Backend(name="sglang", owner="sglang", models=("shared",))
RULES: tuple[Rule, ...] = (
    Lookup(name="by-server", source=Source(body=("inference_server",))),
    Lookup(name="by-tier", source=Source(header="x-tier"), values=(("gold", "sglang"),)),
    Split(name="all-vllm", weights=(("vllm", 1.0), ("sglang", 0.0))),
)


def router_config(**changes: Any) -> config.Config:
    """A configuration for tests: two static backends, three rules, nothing random."""
    settings: dict[str, Any] = {
        "name": "test",
        "routing_header": "x-inference-server",
        "paths": ("/v1/chat/completions",),
        "max_body_bytes": 8 * 1024 * 1024,
        "max_inflight_bytes": 16 * 1024 * 1024,
        "workers": 1,
        "backends": (VLLM, SGLANG),
        "rules": RULES,
    }
    return config.Config(**settings | changes)


@dataclass
class RouterProcess:
    """A running router."""

    process: subprocess.Popen[bytes]
    config: Path
    log: Path
    listen: list[str]
    """The addresses that it listens on."""
    status: str
    """Host and port of its HTTP endpoints."""

    @property
    def address(self) -> str:
        """The first of the addresses that it listens on."""
        return self.listen[0]

    def logged(self, message: str) -> list[dict[str, Any]]:
        """The log's entries with this message so far."""
        return [entry for entry in self.entries() if entry["message"] == message]

    def entries(self) -> list[dict[str, Any]]:
        """All whole lines of the log so far, each of which must be JSON."""
        return [json.loads(line) for line in self.log.read_text().split("\n")[:-1]]

    def rewrite(self, data: bytes) -> None:
        """Replace its configuration file, as an editor or Kubernetes would."""
        scratch = self.config.with_suffix(".new")
        scratch.write_bytes(data)
        scratch.rename(self.config)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it; its exit code."""
        self.process.send_signal(how)
        return self.process.wait(PATIENCE)


@contextlib.contextmanager
def running(
    folder: Path,
    settings: config.Config,
    *options: str,
    listen: Iterable[str] = ("127.0.0.1:0",),
    command: Iterable[str] = (sys.executable, "-m", "routegen_router"),
    environment: dict[str, str] | None = None,
) -> Iterator[RouterProcess]:
    """Start a router and wait until it listens; end it afterwards."""
    file, log = folder / "router.json", folder / "router.log"
    file.write_bytes(config.dump(settings))
    arguments = [*command, "--config", str(file), "--metrics", "127.0.0.1:0", "--drain-seconds", "0", *options]
    for address in listen:
        arguments += ["--listen", address]
    log.unlink(missing_ok=True)  # workers of one that was killed may still write to it
    with log.open("wb") as stderr:
        process = subprocess.Popen(arguments, stderr=stderr, env=environment)
    router = RouterProcess(process, file, log, [], "")
    try:
        wait_for(lambda: process.poll() is not None or b'"listening"' in log.read_bytes(), "the router to listen")
        assert process.poll() is None, log.read_text()
        [told] = router.logged("listening")
        router.listen, router.status = told["listen"], told["metrics"]
        yield router
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(PATIENCE)


def wait_for(ready: Callable[[], Any], what: str) -> None:
    """Wait until ``ready`` gives something true."""
    ends = time.monotonic() + PATIENCE
    while not ready():
        assert time.monotonic() < ends, f"waited {PATIENCE:g} s for {what}"
        time.sleep(0.02)


@contextlib.asynccontextmanager
async def streaming(
    address: str, *more: tuple[str, int]
) -> AsyncIterator[Callable[[], grpc.aio.StreamStreamCall[bytes, bytes]]]:
    """A connection to a router; each call of what it gives opens one stream over raw bytes.

    :param more: options of grpc.
    """
    options = [
        *more,
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", -1),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        yield channel.stream_stream(PROCESS)


async def talk(address: str, *messages: pb.ProcessingRequest) -> list[pb.ProcessingResponse]:
    """Send messages as Envoy does, each after the reply to the one before, until the router ends the stream.

    :raises grpc.aio.AioRpcError: the stream ended with an error.
    """
    replies = []
    async with streaming(address) as open_stream:
        call = open_stream()
        for message in messages:
            await call.write(message.SerializeToString())
            reply = await call.read()
            if reply is grpc.aio.EOF:
                break
            replies.append(pb.ProcessingResponse.FromString(reply))
        assert await call.read() is grpc.aio.EOF
    return replies


def headers(
    method: str = "POST",
    path: str = "/v1/chat/completions",
    *,
    end: bool = False,
    mode: int = pb.ProcessingMode.BUFFERED,
    more: Mapping[str, str] | None = None,
) -> pb.ProcessingRequest:
    """The first message of a stream; ``more`` are further headers."""
    pairs = {":method": method, ":path": path, **(more or {})}
    return pb.ProcessingRequest(
        request_headers=pb.HttpHeaders(
            headers=pb.HeaderMap(headers=[pb.HeaderValue(key=k, raw_value=v.encode()) for k, v in pairs.items()]),
            end_of_stream=end,
        ),
        protocol_config=pb.ProtocolConfiguration(request_body_mode=cast("pb.ProcessingMode.BodySendMode", mode)),
    )


def body(data: bytes | dict[str, Any], *, end: bool = True) -> pb.ProcessingRequest:
    """The request's body, as JSON where it is a dict."""
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return pb.ProcessingRequest(request_body=pb.HttpBody(body=raw, end_of_stream=end))
