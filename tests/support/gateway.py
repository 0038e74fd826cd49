"""A whole gateway for tests: mock engines, the real router, a real Envoy, from the text of a routes.yaml."""

from __future__ import annotations

import asyncio
import dataclasses
import http.client
import json
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from routegen.compile import compile_text
from routegen.emit.envoy import bootstrap
from routegen.emit.router_config import router_config
from routegen.mock_engine import PERSONALITIES, VLLM, Behaviour, MockEngine, Personality
from routegen.plan import Addresses, Listener, Plan
from support.envoy import CURRENT, FREE_PORT, Envoy
from support.router import RouterProcess, wait_for
from support.router import running as running_router


@dataclass(frozen=True)
class Reply:
    """A whole response."""

    status: int
    headers: tuple[tuple[str, str], ...]
    """In order; names in lower case."""
    body: bytes

    def header(self, name: str) -> str | None:
        """The only value of ``name``."""
        values = [value for key, value in self.headers if key == name]
        assert len(values) <= 1, values
        return values[0] if values else None

    @property
    def json(self) -> Any:
        """The body as JSON, which its content-type says too."""
        assert self.header("content-type") in {"application/json", "application/json; charset=utf-8"}, self.headers
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of an OpenAI-shaped error."""
        error = self.json["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["type"] == ("server_error" if self.status >= 500 else "invalid_request_error")
        assert error["message"]
        return str(error["code"])


def exchange(
    host: str,
    port: int,
    method: str,
    path: str,
    body: bytes | Iterable[bytes] | None = None,
    headers: Sequence[tuple[str, str]] = (),
) -> Reply:
    """Send one HTTP/1.1 request, headers exactly as given; a body of pieces is sent chunked."""
    connection = http.client.HTTPConnection(host, port, timeout=60)
    try:
        hosted = any(name.lower() == "host" for name, _ in headers)
        connection.putrequest(method, path, skip_host=hosted, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        if isinstance(body, bytes):
            connection.putheader("content-length", str(len(body)))
        elif body is not None:
            connection.putheader("transfer-encoding", "chunked")
        with suppress(BrokenPipeError, ConnectionResetError):  # a refusal may come before the end of the body
            connection.endheaders(body, encode_chunked=body is not None and not isinstance(body, bytes))
        response = connection.getresponse()
        pairs = tuple((name.lower(), value) for name, value in response.getheaders())
        return Reply(response.status, pairs, response.read())
    finally:
        connection.close()


@dataclass
class Gateway:
    """What a test talks to."""

    plan: Plan
    envoy: Envoy
    engines: Mapping[str, MockEngine]
    port: int
    router: RouterProcess | None
    """``None`` where the test brought its own."""

    def request(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> Reply:
        """Send one HTTP/1.1 request, headers exactly as given; a body of pieces is sent chunked."""
        return exchange("127.0.0.1", self.port, method, path, body, headers)

    def post(
        self,
        body: Mapping[str, Any] | bytes,
        *,
        path: str = "/v1/chat/completions",
        headers: Sequence[tuple[str, str]] = (),
    ) -> Reply:
        """Send JSON to an inference path."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.request("POST", path, data, [("content-type", "application/json"), *headers])

    def forget(self) -> None:
        """Empty what the engines have recorded."""
        for engine in self.engines.values():
            engine.recorder.clear()

    def reached(self) -> dict[str, int]:
        """Engine -> number of requests since :meth:`forget`, health checks and polls aside."""
        counts = {}
        for name, engine in self.engines.items():
            requests = [one for one in engine.recorder.requests if one.target not in {"/health", "/v1/models"}]
            counts[name] = len(requests)
        return counts


@contextmanager
def engines(models: Mapping[str, tuple[Personality, Sequence[str]]]) -> Iterator[dict[str, MockEngine]]:
    """Run mock engines in a thread of their own: backend -> (personality, models)."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(20)

    started: dict[str, MockEngine] = {}
    try:
        for name, (personality, served) in models.items():
            engine = MockEngine(personality, Behaviour(models=tuple(served)))
            run(engine.__aenter__())
            started[name] = engine
        yield started
    finally:
        for engine in started.values():
            run(engine.__aexit__(None, None, None))
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def with_engines(plan: Plan, running: Mapping[str, MockEngine]) -> Plan:
    """Put the plan's backends where the mock engines are, and its one listener on a free port of loopback."""
    backends = tuple(
        dataclasses.replace(
            backend,
            reach=Addresses(((running[backend.name].host, running[backend.name].port),)),
            tls=None,
            poll_urls=(f"{running[backend.name].url}/v1/models",) if backend.poll_urls else (),
        )
        for backend in plan.backends
    )
    listening = (Listener("http", 0, "127.0.0.1"),)
    return dataclasses.replace(plan, backends=backends, gateway=dataclasses.replace(plan.gateway, listeners=listening))


def first_backend(**changes: Any) -> Callable[[Plan], Plan]:
    """What changes a plan's first backend; for ``adjust``."""

    def change(plan: Plan) -> Plan:
        first, *others = plan.backends
        return dataclasses.replace(plan, backends=(dataclasses.replace(first, **changes), *others))

    return change


@contextmanager
def gateway(
    routes: str,
    models: Mapping[str, Sequence[str]],
    *,
    version: str = CURRENT,
    routers: Sequence[str] | None = None,
    beside: Sequence[str] = (),
    listen: Sequence[str] = ("127.0.0.1:0",),
    adjust: Callable[[Plan], Plan] = lambda plan: plan,
    complete: bool = True,
) -> Iterator[Gateway]:
    """Run everything.

    :param models: backend -> the models that its mock engine serves; its personality is its owner's, or vLLM's.
    :param routers: addresses to use in place of a real router's.
    :param beside: addresses of further routers.
    :param listen: where the real router listens, its first worker at least.
    :param adjust: a last change to the plan before anything but the engines runs.
    :param complete: wait until every engine has told its models, not just until the router listens.
    """
    plan = compile_text(routes, "routes.yaml", target="envoy")
    with ExitStack() as stack:
        wanted = {
            backend.name: (PERSONALITIES.get(backend.owner or "", VLLM), models[backend.name])
            for backend in plan.backends
        }
        running = stack.enter_context(engines(wanted))
        plan = adjust(with_engines(plan, running))
        router = None
        if routers is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="router-")))
            ready = folder / "ready"
            settings = router_config(plan)
            router = stack.enter_context(running_router(folder, settings, "--ready-file", str(ready), listen=listen))
            wait_for(lambda: ready.exists() or not complete, "the router to know every engine's models")
            routers = router.listen
        plan = dataclasses.replace(plan, router=dataclasses.replace(plan.router, addresses=(*routers, *beside)))
        envoy = stack.enter_context(Envoy(bootstrap.static(plan, admin=FREE_PORT), version=version))
        yield Gateway(plan, envoy, running, envoy.port(), router)
