"""The query as a source of rules: parameters are decoded, and one that is read must not stand twice."""

from __future__ import annotations

import pytest

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
