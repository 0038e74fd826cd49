"""The query as a source of rules: parameters are decoded, and one that is read must not stand twice."""

from __future__ import annotations

import sys
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routegen.compile import compile_text
from routegen.emit.router_config import router_config
from routegen_router import query
from routegen_router.config import dump, load
from routegen_router.messages import Routed
from routegen_router.models import Known, Snapshot
from routegen_router.policy import Policy
from routegen_router.stream import Stream
from support.streams import body, code, headers

ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: query}
spec:
  gateway: {target: envoy}
  models: {poll: {enabled: false}, unknown: allow}
  backends:
    vllm: {endpoints: [127.0.0.1:8001]}
    sglang: {endpoints: [127.0.0.1:8002]}
  rules:
    - query: engine
    - {when: {query: {tier: "gold*"}}, prefer: [sglang]}
    - {split: {vllm: 1}}
"""
CONFIG = load(dump(router_config(compile_text(ROUTES, "routes.yaml"))))


def decide(target: str) -> object:
    one = Stream(Policy(CONFIG), lambda: Snapshot(map(Known, CONFIG.backends)), lambda: 0.0)
    reply = one.on_headers(headers(path=target))
    return reply if code_of(reply) else one.on_body(body("{}"))


def code_of(reply: object) -> str | None:
    return getattr(reply, "code", None)


@pytest.mark.parametrize(
    ("parameters", "backend", "rule"),
    [
        ("", "vllm", "split"),
        ("?", "vllm", "split"),
        ("?engine=sglang", "sglang", "query:engine"),
        ("?x=1&engine=sgl%61ng&y", "sglang", "query:engine"),
        ("?tier=gold+7", "sglang", "prefer:sglang"),
        ("?tier=Gold", "vllm", "split"),
        ("?Engine=sglang", "vllm", "split"),
        ("?x=engine%3Dsglang", "vllm", "split"),
        ("?x=1&x=2", "vllm", "split"),
    ],
)
def test_a_parameter_chooses(parameters: str, backend: str, rule: str) -> None:
    assert decide(f"/v1/chat/completions{parameters}") == Routed(backend, rule)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ("?engine=gold", "unknown_value"),
        ("?engine=%FF", "unknown_value"),
        ("?engine=", "unknown_value"),
        ("?engine=vllm&engine=sglang", "duplicate_field"),
        ("?engine=vllm&e%6Egine=vllm", "duplicate_field"),
        ("?tier=x&tier=y", "duplicate_field"),
    ],
)
def test_what_it_names_must_be_one_thing(parameters: str, expected: str) -> None:
    reply = decide(f"/v1/chat/completions{parameters}")
    assert code(reply)[0] == 400
    assert code_of(reply) == expected


def test_a_long_query_costs_what_it_weighs() -> None:
    found, twice = query.read("&".join(f"a{index}={index}" for index in range(20_000)) + "&engine=x", {"engine"})
    assert (found, twice) == ({"engine": "x"}, None)


NAMES = ("model", "engine", "a b", "x%y", "ü", "e=f")
PIECES = st.sampled_from(
    [*NAMES, *"&=+%v", "%6d", "%6D", "odel", "%65ngine", "a+b", "a%20b", "x%25y", "%C3%bc", "e%3Df", "%ff"]
)


@given(st.lists(PIECES, max_size=12).map("".join))
def test_parameters_are_found_as_the_standard_library_finds_them(text: str) -> None:
    expected: dict[str, str] = {}
    twice = None
    for name, value in parse_qsl(text, keep_blank_values=True, errors="replace"):
        if name in NAMES:
            twice = twice or (name if name in expected else None)
            expected.setdefault(name, value)
    found, again = query.read(text, NAMES)
    assert again == twice
    assert found.items() <= expected.items() if twice else found == expected


@pytest.mark.parametrize("piece", ["a&", "%61&", "model%&", "%6d%6f%64%65%6c%6c&", "mode=&", "model=&"])
def test_parameters_that_nobody_reads_are_passed_over_in_one_search(piece: str) -> None:
    text = piece * (60_000 // len(piece)) + "engine=vllm"
    calls = 0

    def called(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event.endswith("call")

    query.read(text, NAMES)  # the pattern is made once
    sys.setprofile(called)
    try:
        found, twice = query.read(text, NAMES)
    finally:
        sys.setprofile(None)
    assert (found, twice) == (({"engine": "vllm"}, None) if piece != "model=&" else ({"model": ""}, "model"))
    assert calls < 50
