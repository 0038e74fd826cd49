"""A rule from outside that fails, seen by clients of a real Envoy: 500 for that request, and never an engine."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import pytest

from support.distributions import distribution, rule
from support.gateway import Gateway, gateway
from support.router import wait_for

ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: failing}
spec:
  gateway: {target: envoy}
  router: {failure: {backend: vllm}} # for requests that the router couldn't decide on: not for these
  backends:
    vllm: {endpoints: [127.0.0.1:8001], ownedBy: vllm}
    sglang: {endpoints: [127.0.0.1:8002], ownedBy: sglang}
  rules:
    - {when: {header: {x-how: raise}}, odd: raise}
    - {when: {header: {x-how: nonsense}}, odd: nonsense}
    - {when: {header: {x-how: elsewhere}}, odd: elsewhere}
    - {when: {header: {x-how: widen}}, odd: widen}
    - split: {vllm: 1, sglang: 1}
"""
CHOOSE = """\
if self.how == "raise":
    raise ValueError("a prompt")
if self.how == "nonsense":
    return 5
if self.how == "elsewhere":
    return Decide("vllm", lambda: "whatever the model")
return Narrow(("vllm", "sglang"), lambda: "everybody")
"""


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    fields = "how: Annotated[str, Verb('odd', 'How.')]"
    code = rule("odd", CHOOSE, fields)
    folder = distribution(tmp_path_factory.mktemp("odd"), "odd-rules", {"odd": "odd_rules:R"}, code)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", str(folder))
        importlib.invalidate_caches()
        with gateway(ROUTES, {"vllm": ["both"], "sglang": ["both", "only-sglang"]}) as started:
            yield started


@pytest.mark.parametrize("how", ["raise", "nonsense", "elsewhere"])
def test_a_rule_that_fails_is_a_500_and_reaches_no_engine(gate: Gateway, how: str) -> None:
    gate.forget()
    assert gate.router is not None
    before = len(gate.router.logged("a rule failed"))
    reply = gate.post({"model": "only-sglang"}, headers=[("x-how", how)])
    assert (reply.status, reply.code) == (500, "rule_failed")
    assert gate.reached() == {"vllm": 0, "sglang": 0}
    wait_for(lambda: gate.router is not None and len(gate.router.logged("a rule failed")) > before, "the log")
    assert "a prompt" not in gate.router.log.read_text()


def test_a_rule_that_widens_gets_no_more_than_the_candidates(gate: Gateway) -> None:
    gate.forget()
    for _ in range(4):
        assert gate.post({"model": "only-sglang"}, headers=[("x-how", "widen")]).status == 200
    assert gate.reached() == {"vllm": 0, "sglang": 4}


def test_others_are_served(gate: Gateway) -> None:
    assert gate.post({"model": "both"}).status == 200
