"""What real clients see of a refusal that comes in the middle of their upload, and of one that comes after it.

Envoy answers 413 at once, reads no more and closes the connection a second later. Whoever reads while it writes, or
reads what has come when it can't write any more, sees the answer.
"""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import openai
import pytest
import urllib3

from support.envoy import VERSIONS
from support.gateway import Gateway, gateway
from support.sdk import openai_client

ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: early}
spec:
  gateway: {target: envoy}
  maxBodyBytes: 1Mi
  backends:
    vllm: {endpoints: [127.0.0.1:8001], ownedBy: vllm, models: [m]}
"""
CLIENTS = Path(__file__).parents[1] / "support" / "clients"
PATH = "/v1/chat/completions"
TOO_LARGE = "413 request_too_large"
SIZES = [2_000_000, 30_000_000]
Headers = dict[str, str]


@pytest.fixture(scope="module", params=VERSIONS)
def gate(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    with gateway(ROUTES, {"vllm": ["m"]}, version=request.param) as started:
        yield started


def told(status: int, body: bytes) -> str:
    return f"{status} {json.loads(body)['error']['code']}"


def with_urllib3(port: int, body: bytes, headers: Headers) -> str:
    """As ``requests`` does."""
    with urllib3.PoolManager(retries=False) as pool:
        answer = pool.request("POST", f"http://127.0.0.1:{port}{PATH}", body=body, headers=headers, timeout=30)
        return told(answer.status, answer.data)


def with_openai(port: int, body: bytes, headers: Headers) -> str:
    """On httpx."""
    client = openai_client(port, timeout=30)
    with client, pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="m", messages=[], user="x" * len(body), extra_headers=headers)
    return f"{caught.value.status_code} {caught.value.code}"


def with_http_client(port: int, body: bytes, headers: Headers) -> str:
    """The answer is there although sending failed; a program that doesn't look for it sees a reset."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with suppress(BrokenPipeError, ConnectionResetError):
        client.request("POST", PATH, body, headers)
    answer = client.getresponse()
    found = told(answer.status, answer.read())
    client.close()
    return found


def program(name: str, *command: str | Path) -> Callable[[int, bytes, Headers], str]:
    """A client that is a program: its words, where ``URL`` and ``FILE`` stand for what they say, and then headers."""

    def run(port: int, body: bytes, headers: Headers) -> str:
        if shutil.which(name) is None:
            pytest.skip(f"there is no {name} here")
        with tempfile.NamedTemporaryFile() as file:
            file.write(body)
            file.flush()
            values = {"URL": f"http://127.0.0.1:{port}{PATH}", "FILE": file.name, "DATA": f"@{file.name}"}
            words = [values.get(str(word), str(word)) for word in command]
            for key, value in headers.items():
                words += ["-H", f"{key}: {value}"] if name == "curl" else [key, value]
            done = subprocess.run([name, *words], capture_output=True, check=False, timeout=120)
        if name != "curl":
            return done.stdout.decode().strip() or done.stderr.decode()
        body_told, _, status = done.stdout.rpartition(b" ")
        return told(int(status), body_told)

    return run


CURL = ("-sS", "--max-time", "30", "-w", " %{http_code}", "--data-binary", "DATA", "URL")
CALLS: dict[str, Callable[[int, bytes, Headers], str]] = {
    "urllib3": with_urllib3,
    "openai": with_openai,
    "aiohttp": program(sys.executable, CLIENTS / "upload.py", "URL", "FILE"),
    "http.client": with_http_client,
    "curl": program("curl", *CURL),
    "curl without 100-continue": program("curl", "-H", "expect:", *CURL),
    "curl, chunked": program("curl", "-H", "transfer-encoding: chunked", *CURL),
    "node's fetch": program("node", CLIENTS / "upload.mjs", "URL", "FILE", "fetch"),
    "node's http": program("node", CLIENTS / "upload.mjs", "URL", "FILE", "http"),
    "go, HTTP/1.1": program("go", "run", CLIENTS / "upload.go", "URL", "FILE", "h1"),
    "go, HTTP/2": program("go", "run", CLIENTS / "upload.go", "URL", "FILE", "h2"),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_body_that_is_too_large_is_413_to_every_client(
    gate: Gateway, call: Callable[[int, bytes, Headers], str], size: int
) -> None:
    assert call(gate.port, json.dumps({"model": "m", "user": "x" * size}).encode(), {}) == TOO_LARGE


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_an_encoding_that_nobody_can_read_is_415_to_every_client(
    gate: Gateway, call: Callable[[int, bytes, Headers], str]
) -> None:
    body = json.dumps({"model": "m", "user": "x" * 900_000}).encode()
    assert call(gate.port, body, {"content-encoding": "compress"}) == "415 unsupported_content_encoding"
