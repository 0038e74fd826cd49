"""CORS through a real Envoy: a client that does what the Fetch standard says, and a browser where one is here."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from support.envoy import VERSIONS
from support.gateway import Gateway, Reply, gateway

ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: cors}
spec:
  gateway: {target: envoy}
  cors:
    allowOrigins: [ORIGIN, "https://*.example.com"]
    exposeHeaders: [x-more]
    maxAge: 5m
  backends:
    a: {endpoints: [127.0.0.1:8001], ownedBy: vllm}
    b: {endpoints: [127.0.0.1:8002], ownedBy: sglang}
"""
MODELS = {"a": ["m"], "b": ["m"]}
CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module", params=VERSIONS)
def running(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    routes = ROUTES.replace("ORIGIN", "https://chat.test:8443")
    with gateway(routes, MODELS, version=request.param) as started:
        yield started


def preflight(running: Gateway, origin: str, path: str = CHAT) -> Reply:
    asked = [("origin", origin), ("access-control-request-method", "POST")]
    return running.request("OPTIONS", path, headers=[*asked, ("access-control-request-headers", "authorization")])


@pytest.mark.parametrize("origin", ["https://chat.test:8443", "https://a.example.com", "https://a.b.example.com"])
def test_a_preflight_is_answered_and_reaches_nobody(running: Gateway, origin: str) -> None:
    running.forget()
    reply = preflight(running, origin)
    assert (reply.status, reply.header("access-control-allow-origin")) == (200, origin)
    assert "POST" in (reply.header("access-control-allow-methods") or "")
    assert reply.header("access-control-allow-headers") == "*, authorization"
    assert reply.header("access-control-max-age") == "300"
    assert reply.header("access-control-allow-credentials") is None
    assert running.reached() == {"a": 0, "b": 0}


@pytest.mark.parametrize(
    "origin",
    ["https://chat.test", "http://a.example.com", "https://example.com", "https://example.com.evil.test", "null"],
)
def test_other_origins_are_not_let_in(running: Gateway, origin: str) -> None:
    assert preflight(running, origin).header("access-control-allow-origin") is None
    reply = running.post({"model": "m"}, headers=[("origin", origin)])
    assert reply.header("access-control-allow-origin") is None


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", CHAT, b'{"model": "m"}', 200),
        ("POST", CHAT, b'{"model": "gpt"}', 404),
        ("POST", CHAT, b"{", 400),
        ("GET", "/v1/models", None, 200),
        ("GET", "/nothing", None, 404),
        ("POST", CHAT, b"x" * (33 << 20), 413),
    ],
)
def test_answers_and_refusals_can_be_read(
    running: Gateway, method: str, path: str, body: bytes | None, status: int
) -> None:
    reply = running.request(method, path, body, [("origin", "https://a.example.com")])
    assert (reply.status, reply.header("access-control-allow-origin")) == (status, "https://a.example.com")
    assert reply.header("access-control-expose-headers") == "x-inference-server, x-request-id, retry-after, x-more"


def test_without_a_router_the_reason_can_be_read() -> None:
    routes = ROUTES.replace("ORIGIN", "https://chat.test:8443")
    with gateway(routes, MODELS, routers=["127.0.0.1:1"]) as started:
        reply = started.post({"model": "m"}, headers=[("origin", "https://chat.test:8443")])
        assert (reply.status, reply.code) == (503, "router_unavailable")
        assert reply.header("access-control-allow-origin") == "https://chat.test:8443"


PAGE = """<!doctype html><pre id="found">waiting</pre><script>
const send = async (body) => {
  const headers = {"content-type": "application/json", "authorization": "Bearer x", "x-stainless-os": "web"};
  try {
    const reply = await fetch("GATEWAY/v1/chat/completions", {method: "POST", headers, body: JSON.stringify(body)});
    return {status: reply.status, engine: reply.headers.get("x-inference-server"), body: await reply.json()};
  } catch (error) { return {error: String(error)}; }
};
(async () => {
  const good = await send({model: "m", inference_server: "b"});
  const refused = await send({model: "gpt"});
  const found = document.getElementById("found");
  found.textContent = JSON.stringify({good, refused});
})();
</script>"""


class Pages(BaseHTTPRequestHandler):
    """Serves one page."""

    def __init__(self, page: list[str], *arguments: Any) -> None:
        self.page = page
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """Send it."""
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(self.page[0].encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the inherited signature
        """Say nothing."""


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("allowed", [True, False])
def test_a_browser_reads_answers_and_refusals_of_where_it_may(allowed: bool, tmp_path: Path) -> None:
    page = [""]
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Pages, page))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    origin = f"http://127.0.0.1:{server.server_port}"
    routes = ROUTES.replace("ORIGIN", origin if allowed else "https://elsewhere.test")
    try:
        with gateway(routes, MODELS) as started:
            page[0] = PAGE.replace("GATEWAY", f"http://127.0.0.1:{started.port}")
            dom = subprocess.run(
                [
                    str(shutil.which("chromium")),
                    "--headless",
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-dev-shm-usage",
                    f"--user-data-dir={tmp_path}",
                    "--timeout=20000",
                    "--virtual-time-budget=15000",
                    "--dump-dom",
                    f"{origin}/",
                ],
                capture_output=True,
                text=True,
                timeout=120,
                check=True,
            ).stdout
    finally:
        server.shutdown()
        server.server_close()
    match = re.search(r'<pre id="found">(.*?)</pre>', dom, re.DOTALL)
    assert match is not None, dom
    found = json.loads(html.unescape(match[1]))
    if allowed:
        assert (found["good"]["status"], found["good"]["engine"]) == (200, "b")
        assert (found["refused"]["status"], found["refused"]["body"]["error"]["code"]) == (404, "model_not_found")
    else:
        assert "Failed to fetch" in found["good"]["error"]
        assert "Failed to fetch" in found["refused"]["error"]
