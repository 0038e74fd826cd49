"""What is asked before the first request, of real HTTP servers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from routegen.bench import credentials
from routegen.bench.arms import from_plan, from_urls
from routegen.bench.preflight import find_models
from routegen.common.problems import UserError
from routegen.compile import compile_text
from routegen_router.backend import Key
from support.engines import Request, engine, serving


@contextmanager
def keyed(status: int) -> Iterator[str]:
    """An engine that lists its models only to who has the key."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers.get("authorization") == "Bearer sesame"
            body = b'{"data": [{"id": "m"}]}' if known else b'{"error": "Unauthorized"}'
            self.send_response(200 if known else status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("key", [None, "wrong"])
def test_an_engine_that_wants_a_key_is_said_to_want_one(
    status: int, key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_KEY", key or "")
    with (
        keyed(status) as url,
        pytest.raises(UserError, match=rf"a at .* wants an API key, or another one \(HTTP {status}\): .*--api-key"),
    ):
        find_models(from_urls({"a": url}), None, "THE_KEY" if key else None)


def test_with_its_key_it_tells_its_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("sesame\n")
    monkeypatch.setenv("THE_KEY", "sesame")
    with keyed(401) as url:
        assert find_models(from_urls({"a": url}), None, "THE_KEY") == {"a": "m"}
        assert find_models(from_urls({"a": url}, keys={"a": Key(file=str(tmp_path / "key"))}), None) == {"a": "m"}


def test_a_key_goes_to_no_address_that_an_engine_points_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_KEY", "sesame")
    shown = []

    def elsewhere(asked: Request) -> None:
        shown.append(asked.headers.get("authorization"))
        serving("m")(asked)

    with engine(elsewhere) as stranger, engine(lambda asked: asked.answer(307, b"", location=stranger.url)) as one:
        arms = from_urls({"a": one.url.removesuffix("/v1/models")})
        with pytest.raises(UserError, match="say which model"):
            find_models(arms, None, "THE_KEY")
    assert shown == []


def test_where_the_router_has_the_key_the_gateway_is_not_shown_it_and_nobody_needs_it_here() -> None:
    arm = from_urls({"a": "http://h"}, keys={"a": Key(env="NO_SUCH_KEY", send=True)})[0]
    behind = msgspec.structs.replace(arm, via="gateway")
    assert credentials.to_arm(behind, None) == credentials.to_list(behind, None) == {}
    with pytest.raises(UserError, match="the API key of a: the environment variable NO_SUCH_KEY is empty or not there"):
        credentials.to_arm(arm, None)
    own = msgspec.structs.replace(behind, key=Key(env="MINE"))
    assert credentials.to_arm(own, None, {"MINE": "sk"}) == {"authorization": "Bearer sk"}
    assert credentials.to_arm(behind, "ALL", {"ALL": "all"}) == {"authorization": "Bearer all"}


def test_an_engine_is_asked_by_its_own_name_for_the_model_and_the_gateway_by_that_of_clients() -> None:
    routes = """
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: renamed}
spec:
  gateway: {target: envoy}
  backends:
    a: {endpoints: [127.0.0.1:1], models: {qwen: Qwen/Qwen2.5}}
    b: {endpoints: [127.0.0.1:2], models: [qwen]}
"""
    plan = compile_text(routes, "routes.yaml")
    with (
        engine(serving("Qwen/Qwen2.5")) as first,
        engine(serving("qwen", "other")) as second,
        engine(serving("qwen")) as gateway,
    ):
        urls = {name: one.url.removesuffix("/v1/models") for name, one in (("a", first), ("b", second))}
        arms = from_plan(plan, [], way="both", gateway=gateway.url.removesuffix("/v1/models"), urls=urls)
        arms = [msgspec.structs.replace(arm, inference_server=None) for arm in arms]
        expected = {"a": "qwen", "a direct": "Qwen/Qwen2.5", "b": "qwen", "b direct": "qwen"}
        for wanted in (None, "qwen"):
            assert find_models(arms, wanted) == expected
        direct = [arm for arm in arms if arm.name == "a direct"]
        assert find_models(direct, "Qwen/Qwen2.5") == {"a direct": "Qwen/Qwen2.5"}
        with pytest.raises(UserError, match="b direct does not serve the model"):
            find_models([arm for arm in arms if arm.via == "direct"], "Qwen/Qwen2.5")
