"""The router is asked on its own routes and nowhere else: hosts x methods x paths against what the docs say."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest

from support.envoy import VERSIONS
from support.gateway import Gateway, gateway

ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: hosts}
spec:
  gateway: {target: envoy, hostnames: [api.test, "*.wild.test"]}
  paths: [/v1/chat/completions]
  passthrough:
    - {path: /tokenize, method: POST, backend: vllm}
  backends:
    vllm: {endpoints: [127.0.0.1:8001], ownedBy: vllm, models: [m]}
"""

SERVED = ["API.test:8080", "a.b.wild.test"]
FOREIGN = ["", "api.test.evil", "wild.test", "[::1]:80", "*"]
METHODS = ["GET", "HEAD", "POST", "PUT", "OPTIONS", "CONNECT"]
PATHS = [
    *("/v1/chat/completions", "/v1/chat/completions?x", "/v1/models", "/v1/models/m", "/tokenize"),
    *("/v1/chat", "/v1/chat/completionsx", "/v1/chat/completions/x", "/v1/modelsx", "/", "*", "//", "/?/v1/models"),
]


def expected(host: str, method: str, path: str) -> str:
    """Who answers: ``router``, ``engine`` (through the router or past it), or ``nobody`` (404)."""
    if host not in SERVED:
        return "nobody"
    if method == "POST" and path.partition("?")[0] == "/v1/chat/completions":
        return "router"
    if method in {"GET", "HEAD"} and (path == "/v1/models" or path.startswith("/v1/models/")):
        return "router"
    return "engine" if (method, path) == ("POST", "/tokenize") else "nobody"


@pytest.fixture(scope="module", params=VERSIONS)
def gate(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    with gateway(ROUTES, {"vllm": ["m"]}, version=request.param) as started:
        yield started


@pytest.mark.parametrize("host", [*SERVED, *FOREIGN])
def test_the_router_is_asked_only_on_its_own_routes(gate: Gateway, host: str) -> None:
    gate.forget()
    cases = {f"{host}/{index}": case for index, case in enumerate(product(METHODS, PATHS))}
    who = {name: expected(host, *case) for name, case in cases.items()}
    asked = set()
    for name, (method, path) in cases.items():
        target = "api.test:80" if method == "CONNECT" else path
        body = b"{}" if method == "POST" else None
        reply = gate.request(method, target, body, [("host", host), ("x-request-id", name)])
        if who[name] == "nobody" and method != "HEAD":
            assert (reply.status, reply.code) in {(404, "not_found"), (400, "bad_request")}, (method, path)
        # What isn't valid HTTP is refused before its headers are looked at.
        if reply.status != 400 and gate.envoy.logged(name)["router_headers_us"] is not None:
            asked.add(name)
    assert {cases[name] for name in asked} == {cases[name] for name in who if who[name] == "router"}
    # The router sends its POSTs on, and a passthrough is one itself.
    posts = [name for name, (method, _) in cases.items() if method == "POST" and who[name] != "nobody"]
    assert sum(gate.reached().values()) == len(posts)
