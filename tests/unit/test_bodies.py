"""What routes.yaml says of changed bodies, in the plan, the router's configuration and the registry."""

from __future__ import annotations

import msgspec
import pytest

from routegen.common.problems import InputError, Problem
from routegen.compile import compile_text
from routegen.emit.router_config import router_config
from routegen.explain import knowledge
from routegen.explain.gateway import Request
from routegen.explain.report import Report, checked_config, explain
from routegen.plan import Plan
from routegen_router import config
from routegen_router.messages import Answer as Refused
from routegen_router.messages import Headers, Routed
from routegen_router.models import Answer, Known, offered
from routegen_router.policy import Policy
from routegen_router.stream import Stream

HEAD = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: bodies}
spec:
  gateway: {target: envoy}
"""
BACKENDS = """\
  backends:
    a: {endpoints: ["127.0.0.1:1"], models: {qwen: Org/Qwen, same: same, "g-*": "g-*"}}
    b: {endpoints: ["127.0.0.1:2"], models: [qwen], stripRoutingFields: true}
"""
RULES = """\
  rules:
    - body: inference_server
    - {body: metadata.tier, values: {fast: a}, onUnknown: next}
    - {prefer: [a], when: {body: {stream: "true"}}}
    - {split: {a: 1, b: 1}, stickyBy: {body: user}}
"""


def plan(text: str = BACKENDS + RULES) -> Plan:
    return compile_text(HEAD + text, "routes.yaml")


def told(body: str, *headers: tuple[str, str], path: str = "/v1/chat/completions", given: Plan | None = None) -> Report:
    made = given or plan()
    known = knowledge.static(checked_config(made))
    return explain(made, known, Request("POST", path, headers, body.encode()), lambda: 0.0)


def test_the_plan_has_the_other_names_and_what_is_taken_out() -> None:
    first, second = plan().backends
    assert (first.models, first.renames, first.strips) == (("qwen", "same", "g-*"), (("qwen", "Org/Qwen"),), ())
    assert (second.renames, second.strips) == ((), (("inference_server",), ("metadata", "tier")))
    loaded = config.load(config.dump(router_config(plan())))
    assert [(one.renames, one.strips) for one in loaded.backends] == [
        (first.renames, ()),
        ((), second.strips),
    ]


@pytest.mark.parametrize(
    ("backends", "problem"),
    [
        ('{a: {endpoints: ["h:1"], models: {"g-*": x}}}', "a glob stands for itself only"),
        ('{a: {endpoints: ["h:1"], models: {x: "g-*"}}}', "a glob stands for itself only"),
        ('{a: {endpoints: ["h:1"], models: {x: 5}}}', "must be text, not a number"),
        ('{a: {endpoints: ["h:1"], models: 5}}', "must be a list, not 5"),
        ('{a: {endpoints: ["h:1"], models: [x, x]}}', "twice"),
        ('{a: {endpoints: ["h:1"], stripRoutingFields: true}}', "no rule chooses by a field of the body"),
    ],
)
def test_mistakes_are_said_with_their_line(backends: str, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        plan(f"  backends: {backends}\n  rules: [{{split: {{a: 1}}}}]\n")
    assert [one.line for one in caught.value.problems] == [6]
    assert problem in caught.value.problems[0].message


def test_what_the_router_is_not_asked_about_and_second_choices_are_noted() -> None:
    notices: list[Problem] = []
    more = "  passthrough: [{path: /x, method: POST, backend: a}]\n  router: {failure: {backend: b}}\n"
    made = compile_text(HEAD + more + BACKENDS + RULES, "routes.yaml", notices=notices)
    text = "\n".join(map(str, notices))
    assert "$.spec.passthrough[0]: note: the router isn't asked here" in text
    assert "$.spec.router.failure: note: without the router, bodies reach b as clients send them" in text
    assert text.count("only those with the same changes stand in for it") == 2
    assert [backend.seconds for backend in made.backends] == [(), ()]


def test_a_router_refuses_a_second_choice_that_would_get_a_wrong_body() -> None:
    made = router_config(plan())
    wrong = msgspec.structs.replace(
        made, backends=(msgspec.structs.replace(made.backends[0], seconds=("b",)), made.backends[1])
    )
    with pytest.raises(config.ConfigError, match="as it gets other bodies"):
        config.load(config.dump(wrong))


def test_explain_shows_what_the_engine_gets() -> None:
    assert told('{"model":"qwen","inference_server":"a"}').changes == ('with the model "Org/Qwen"', "43 bytes")
    assert told('{"model":"same","inference_server":"a"}').changes == ()
    assert told('{"model":"g-1","inference_server":"a"}').changes == ()
    stripped = told('{"model":"qwen","inference_server":"b","metadata":{"tier":"fast"},"user":"u"}')
    assert stripped.changes == ("without inference_server", "without metadata.tier", "41 bytes")
    assert told('{"model":"Org/Qwen","inference_server":"a"}').code == "model_not_found"


TOLD = Answer({"Org/Qwen": 7, "same": 8, "extra": 9}, "vllm", 1.0, {"Org/Qwen": {"max_model_len": 4096}})


def test_what_an_engine_tells_is_known_by_the_names_of_clients() -> None:
    backend = router_config(plan()).backends[0]
    seen = offered(TOLD, backend)
    assert dict(seen.models) == {"qwen": 7, "same": 8, "extra": 9}
    assert dict(seen.cards) == {"qwen": {"max_model_len": 4096}}
    known = Known(backend, seen)
    assert known.serves("qwen")
    assert not known.serves("Org/Qwen")
    assert offered(TOLD, router_config(plan()).backends[1]) is TOLD


def test_both_names_are_offered_where_both_are_written() -> None:
    both = plan(BACKENDS.replace("qwen: Org/Qwen", "qwen: Org/Qwen, too: Org/Qwen, Org/Qwen: Org/Qwen") + RULES)
    assert set(offered(TOLD, router_config(both).backends[0]).models) == {"qwen", "too", "Org/Qwen", "same", "extra"}


def test_a_renamed_model_in_the_query_is_refused() -> None:
    made = plan(
        "  byHeaders: [{path: /v1/realtime, method: GET}]\n"
        + BACKENDS
        + RULES.replace("  rules:", "  rules:\n    - header: x-engine")
    )
    settings = router_config(made)

    def ask(model: str, engine: str = "a", draw: float = 0.0) -> Routed | Refused:
        path = f"/v1/realtime?model={model}"
        headers = ((":method", "GET"), (":path", path), *([("x-engine", engine)] if engine else []))
        one = Stream(Policy(settings), lambda: knowledge.static(settings).view, lambda: draw)
        reply = one.on_headers(Headers(headers, end_of_stream=True))
        assert isinstance(reply, Routed | Refused)
        return reply

    refused = ask("qwen")
    assert isinstance(refused, Refused)
    assert (refused.status, refused.code) == (400, "model_renamed")
    assert isinstance(ask("same"), Routed)
    for draw in (0.0, 0.3, 0.6, 0.9):  # a split skips who would refuse it
        chosen = ask("qwen", "", draw)
        assert isinstance(chosen, Routed)
        assert chosen.backend == "b"
