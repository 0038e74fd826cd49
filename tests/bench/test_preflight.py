"""What is asked before the first request, of real HTTP servers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from routegen.bench.arms import from_urls
from routegen.bench.preflight import find_models
from routegen.common.problems import UserError


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
def test_an_engine_that_wants_a_key_is_said_to_want_one(status: int, key: str | None) -> None:
    with (
        keyed(status) as url,
        pytest.raises(UserError, match=rf"a at .* wants an API key \(HTTP {status}\): .*--api-key"),
    ):
        find_models(from_urls({"a": url}), None, key)


def test_with_its_key_it_tells_its_model() -> None:
    with keyed(401) as url:
        assert find_models(from_urls({"a": url}), None, "sesame") == {"a": "m"}
