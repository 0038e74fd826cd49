"""The explanation of one request: the router's own decision, with its reasons."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from routegen.cli import cli
from routegen.common.problems import UserError
from routegen.compile import compile_text
from routegen.explain import knowledge
from routegen.explain.gateway import Request
from routegen.explain.knowledge import OTHERWISE
from routegen.explain.report import PASSTHROUGH, Report, checked_config, explain
from routegen.explain.text import as_json, as_text
from routegen_router.fetch import PollError
from routegen_router.messages import Body, Headers, Routed
from routegen_router.models import Answer
from routegen_router.policy import Policy
from routegen_router.request import Source
from routegen_router.rules import Lookup
from routegen_router.stream import Stream

ROUTES = """
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: test}
spec:
  gateway: {target: envoy}
  backends:
    vllm-a: {endpoints: [127.0.0.1:8001], ownedBy: vllm, models: [llama, "lora-*"]}
    vllm-b: {endpoints: [127.0.0.1:8002], ownedBy: vllm, models: [llama]}
    sglang: {endpoints: [127.0.0.1:8003], ownedBy: sglang, models: [llama, qwen]}
  passthrough:
    - {path: /tokenize, method: POST, backend: sglang}
    - {path: "/files/*", method: GET, backend: vllm-a}
  rules:
    - body: inference_server
    - body: metadata.engine
    - name: gold
      when: {header: {x-tenant: gold}}
      prefer: [sglang]
    - split: {vllm: 60, sglang: 40}
"""
PLAN = compile_text(ROUTES, "routes.yaml")
PATH = PLAN.paths[0]
TOLD = {
    "vllm-a": Answer({"llama": 1}, "vllm", 0.0),
    "vllm-b": Answer({"llama": 1}, "vllm", 0.0),
    "sglang": Answer({"llama": 1, "qwen": 1}, "sglang", 0.0),
}
KNOWN = knowledge.polled(checked_config(PLAN), lambda _config: TOLD)


def report(
    body: str = "{}", *headers: tuple[str, str], method: str = "POST", path: str = PATH, point: float = 0.0
) -> Report:
    return explain(PLAN, KNOWN, Request(method, path, headers, body.encode()), lambda: point)


@pytest.mark.parametrize(
    ("body", "backend", "rule"),
    [
        ('{"inference_server":"sglang"}', "sglang", "body:inference_server"),
        ('{"metadata":{"engine":"vllm-b"},"model":"llama"}', "vllm-b", "body:metadata.engine"),
        ('{"model":"qwen"}', "sglang", "split"),
        ('{"model":"lora-7"}', "vllm-a", "split"),
    ],
)
def test_a_request_that_is_routed_gets_the_engines_answer(body: str, backend: str, rule: str) -> None:
    told = report(body)
    assert (told.backend, told.rule, told.code) == (backend, rule, None)
    assert (told.reply.status, told.reply.headers, told.reply.body) == (None, {"x-inference-server": backend}, None)
    assert told.steps[-1].outcome == "decided"
    assert not told.warnings


def test_the_rules_that_were_not_reached_are_told() -> None:
    told = report('{"inference_server":"sglang"}')
    assert [step.rule for step in told.steps] == ["model", "body:inference_server"]
    assert told.not_reached == ("body:metadata.engine", "gold", "split")
    assert told.candidates == ("vllm-a", "vllm-b", "sglang")


def test_a_split_over_one_candidate_is_not_called_random() -> None:
    told = report('{"model":"qwen"}')
    assert (told.rule, told.shares) == ("split", {"sglang": 1.0})
    assert "random" not in as_text(told)
    assert "random" in as_text(report())


def test_a_random_choice_says_its_shares() -> None:
    told = report('{"model":"llama"}', point=0.7)
    assert told.backend == "sglang"
    assert told.shares == {"vllm-a": 0.3, "vllm-b": 0.3, "sglang": 0.4}
    assert "the choice is random: vllm-a 30 %, vllm-b 30 %, sglang 40 %" in as_text(told)
    assert report('{"inference_server":"sglang"}').shares == {}


@pytest.mark.parametrize(
    ("body", "status", "code", "rule"),
    [
        ('{"inference_server":"gold"}', 400, "unknown_inference_server", "body:inference_server"),
        ('{"model":"gpt"}', 404, "model_not_found", None),
        ("{", 400, "invalid_json", None),
        ("", 400, "invalid_json", None),
    ],
)
def test_a_refusal_is_shown_as_the_client_gets_it(body: str, status: int, code: str, rule: str | None) -> None:
    told = report(body)
    assert (told.backend, told.rule, told.code) == (None, rule, code)
    assert told.reply.status == status
    assert told.reply.body["error"]["code"] == code
    assert told.reply.headers["content-type"] == "application/json"
    assert code in as_text(told)


def test_the_list_of_models_is_shown() -> None:
    told = report("", method="GET", path="/v1/models")
    assert told.reply.status == 200
    assert [entry["id"] for entry in told.reply.body["data"]] == ["llama", "qwen"]
    assert (told.backend, told.rule, told.code, told.steps) == (None, None, None, ())
    assert "answered by the router" in as_text(told)


@pytest.mark.parametrize(
    ("method", "path", "backend"),
    [
        ("POST", "/tokenize", "sglang"),
        ("POST", "/tokenize?x=1", "sglang"),
        ("GET", "/tokenize", None),
        ("POST", "/tokenize/x", None),
        ("GET", "/files/a/b", "vllm-a"),
        ("GET", "/filesystem", None),
    ],
)
def test_passthrough_takes_a_request_past_the_router(method: str, path: str, backend: str | None) -> None:
    told = report("{}", method=method, path=path)
    assert told.backend == backend
    assert (told.rule, told.code) == ((PASSTHROUGH, None) if backend else (None, "not_found"))


@pytest.mark.parametrize(
    ("body", "warning"),
    [
        (
            '{"infrence_server":"sglang"}',
            'the field "infrence_server" is read by no rule; did you mean "inference_server"?',
        ),
        ('{"inference-server":"sglang"}', 'did you mean "inference_server"?'),
        ('{"Model":"llama"}', 'did you mean "model"?'),
        (
            '{"metadata":{"engin":"vllm"}}',
            'the field "metadata.engin" is read by no rule; did you mean "metadata.engine"?',
        ),
    ],
)
def test_a_field_that_looks_misspelt_is_pointed_out(body: str, warning: str) -> None:
    told = report(body)
    assert len(told.warnings) == 1
    assert told.warnings[0].endswith(warning)


@pytest.mark.parametrize(
    "body", ['{"messages":[],"temperature":0.5,"max_tokens":5,"user":"a"}', "[1]", "{", "[" * 9000, "\x00"]
)
def test_ordinary_and_broken_bodies_raise_no_suspicion(body: str) -> None:
    assert report(body).warnings == ()


def test_headers_that_never_reach_the_router_are_pointed_out() -> None:
    told = report("{}", ("X-Inference-Server", "vllm-b"), ("x_tenant", "gold"), ("x-tenat", "gold"))
    removed, dropped, misspelt, *_ = told.warnings
    assert "the gateway removes this header" in removed
    assert "the gateway drops headers with underscores" in dropped
    assert 'did you mean "x-tenant"?' in misspelt
    assert told.backend == "vllm-a"


def test_without_polling_a_backend_that_lists_no_models_may_serve_any() -> None:
    plan = compile_text(ROUTES.replace(", models: [llama, qwen]}", "}"), "routes.yaml")
    known = knowledge.static(checked_config(plan))
    assert (
        explain(plan, known, Request("POST", PATH, (), b'{"model":"new"}'), lambda: 0.0).code == "registry_incomplete"
    )
    assert explain(plan, known, Request("POST", PATH, (), b'{"model":"llama"}'), lambda: 0.0).backend == "vllm-a"


def test_where_too_little_is_known_of_the_engines_the_way_out_is_told() -> None:
    plan = compile_text(ROUTES.replace(", models: [llama, qwen]", ""), "routes.yaml")
    config = checked_config(plan)
    unasked = explain(plan, knowledge.static(config), Request("POST", PATH, (), b'{"model":"new"}'), lambda: 0.0)
    assert unasked.code == "registry_incomplete"
    assert unasked.warnings == (f"engines were not asked for their models: leave out --no-poll, or {OTHERWISE}",)
    some = knowledge.polled(config, lambda _config: {**TOLD, "sglang": PollError("refused", "Connection refused")})
    silent = explain(plan, some, Request("POST", PATH, (), b'{"model":"new"}'), lambda: 0.0)
    assert "not every engine tells its models here (not sglang)" in silent.warnings[0]
    assert report('{"model":"new"}').warnings == ()


def test_what_routes_yaml_lists_counts_as_known_where_nobody_is_asked() -> None:
    known = knowledge.static(checked_config(PLAN))
    assert explain(PLAN, known, Request("POST", PATH, (), b'{"model":"new"}'), lambda: 0.0).code == "model_not_found"
    assert explain(PLAN, known, Request("POST", PATH, (), b'{"model":"qwen"}'), lambda: 0.0).backend == "sglang"


def test_headers_choose_as_they_do_in_the_router() -> None:
    assert report('{"model":"llama"}', ("X-Tenant", "gold")).rule == "gold"
    assert report("{}", ("x-tenant", "gold"), ("X-TENANT", "gold")).code == "duplicate_field"
    assert report("{}", ("Content-Encoding", "compress")).code == "unsupported_content_encoding"
    assert report("{}", ("content-length", "99999999999")).code == "request_too_large"


def test_a_plan_that_no_router_would_load_is_refused() -> None:
    plan = replace(PLAN, rules=(Lookup(name="r", source=Source(body=("model", "x"))),))
    with pytest.raises(UserError, match="can't be text and also hold"):
        explain(plan, KNOWN, Request("POST", PATH), lambda: 0.0)


def test_the_json_form_holds_the_whole_report() -> None:
    told = report('{"inference_server":"sglang","model":"qwen"}')
    document = json.loads(as_json(told))
    assert document["backend"] == "sglang"
    assert document["steps"][1] == {
        "rule": "body:inference_server",
        "outcome": "decided",
        "why": 'body: inference_server is "sglang"',
        "candidates": ["sglang"],
        "shares": {},
    }
    assert [entry["source"] for entry in document["registry"]] == ["polled"] * 3
    assert document["reply"] == {"status": None, "headers": {"x-inference-server": "sglang"}, "body": None}


def test_the_text_form_reads_from_request_to_reply() -> None:
    text = as_text(report('{"inference_server":"gold"}'))
    starts = [line.split("  ")[0] for line in text.splitlines() if not line.startswith(" ")]
    assert starts == [
        "request",
        "registry",
        "candidates",
        "rules",
        "decision",
        "client gets 400 Bad Request (content-type: application/json)",
    ]
    assert "not reached" in text


NAMES = st.sampled_from(["vllm", "sglang", "vllm-a", "vllm-b", "gold", ""])
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "inference_server": NAMES | st.none() | st.integers(),
        "model": st.sampled_from(["llama", "qwen", "lora-1", "gpt"]) | st.none(),
        "metadata": st.none() | st.fixed_dictionaries({}, optional={"engine": NAMES}),
    },
)


@given(BODIES, st.none() | st.sampled_from(["gold", "silver"]), st.floats(0, 1, exclude_max=True))
def test_an_explanation_never_disagrees_with_the_router(
    body: dict[str, object], tenant: str | None, point: float
) -> None:
    raw = json.dumps(body).encode()
    headers = (("x-tenant", tenant),) if tenant else ()
    told = explain(PLAN, KNOWN, Request("POST", PATH, headers, raw), lambda: point)
    config = checked_config(PLAN)
    stream = Stream(Policy(config), lambda: KNOWN.view, lambda: point)
    stream.on_headers(Headers(((":method", "POST"), (":path", PATH), *headers), end_of_stream=False))
    reply = stream.on_body(Body(raw, end_of_stream=True))
    if isinstance(reply, Routed):
        assert (told.backend, told.rule) == (reply.backend, reply.rule)
    else:
        assert (told.reply.status, told.code, told.reply.body) == (reply.status, reply.code, json.loads(reply.body))


@pytest.mark.parametrize(
    "header",
    ["authorization: Bearer sk-secret", "authorization Bearer sk-secret", "sk-secret", "sk-secret x: y", ": sk-secret"],
)
@pytest.mark.parametrize("more", [[], ["-o", "json"]])
def test_a_credential_given_as_a_header_is_never_printed(header: str, more: list[str], tmp_path: Path) -> None:
    routes = tmp_path / "routes.yaml"
    routes.write_text(ROUTES)
    result = CliRunner().invoke(cli, ["explain", "-f", str(routes), "--no-poll", "-H", header, *more])
    assert result.exit_code == (0 if header.startswith("authorization:") else 2)
    assert "secret" not in result.output
