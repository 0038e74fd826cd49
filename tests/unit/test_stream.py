"""One external-processing stream: which message gets which reply."""

from __future__ import annotations

import json

import pytest

from routegen_router.decide import Step
from routegen_router.messages import Answer, Continue, Headers, Protocol, Routed, Trailers
from routegen_router.models import Known, Snapshot
from routegen_router.stream import Stream
from support.policy import PATH, view
from support.streams import GIVEN, KNOWN, LIMIT, POLICY, body, code, document, headers, stream


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"inference_server":"sglang"}', Routed("sglang", "engine")),
        ('{"model":"llama","inference_server":"vllm"}', Routed("vllm-a", "engine")),
        ('{"model":"big"}', Routed("polled", "only-candidate")),
        ("{}", Routed("vllm-a", "split")),
    ],
)
@pytest.mark.parametrize("ended", [True, False])
def test_a_post_is_asked_for_its_body_and_then_routed(text: str, expected: Routed, ended: bool) -> None:
    one = stream()
    assert one.on_headers(headers()) == Continue(100)
    assert one.on_body(body(text, ended=ended)) == expected
    assert one.path == PATH
    assert one.body_bytes == len(text)


@pytest.mark.parametrize("path", [PATH, PATH + "?api-version=1", "/v1/embeddings", "/v1/embeddings?"])
def test_the_query_plays_no_part(path: str) -> None:
    assert stream().on_headers(headers(path=path)) == Continue(100)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (400, "invalid_json")),
        ("{", (400, "invalid_json")),
        ("[]", (400, "invalid_request_body")),
        ('{"model":5}', (400, "invalid_type")),
        ('{"model":"llama","model":"llama"}', (400, "duplicate_field")),
        ('{"inference_server":"gold"}', (400, "unknown_inference_server")),
        ('{"inference_server":"sglang","model":"big"}', (400, "engine_model_mismatch")),
        ('{"model":"gpt"}', (404, "model_not_found")),
        ('{"x":"' + "a" * LIMIT + '"}', (413, "request_too_large")),
    ],
)
def test_a_body_that_cannot_be_routed_is_answered(text: str, expected: tuple[int, str]) -> None:
    one = stream()
    one.on_headers(headers())
    assert code(one.on_body(body(text))) == expected


def test_a_rejection_is_a_whole_http_answer() -> None:
    one = stream()
    one.on_headers(headers())
    reply = one.on_body(body('{"inference_server":"gold"}'))
    assert isinstance(reply, Answer)
    assert reply.headers == (("content-type", "application/json"),)
    assert reply.details == "routegen_unknown_inference_server"
    assert reply.metadata == {"reject": "unknown_inference_server", "rule": "engine"}
    assert reply.fault is None
    error = json.loads(reply.body)["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert (error["type"], error["param"]) == ("invalid_request_error", "inference_server")


@pytest.mark.parametrize(
    "asked",
    [
        headers(method="GET"),
        headers(method="PUT"),
        headers(method="OPTIONS"),
        headers(method="post"),
        headers(path="/"),
        headers(path="/v1/chat/completions/"),
        headers(path="/v1/chat/Completions"),
        headers(path="/metrics"),
        headers(path="/v1/models", method="POST"),
        headers(path="/v1/modelsx", method="GET"),
        headers(path="/v1/models", method="DELETE"),
        headers(path="/health", method="POST"),
        headers(path="/health/", method="GET"),
    ],
)
def test_what_is_not_served_is_404(asked: Headers) -> None:
    assert code(stream().on_headers(asked)) == (404, "not_found")


@pytest.mark.parametrize("path", ["/health", "/healthz", "/ping?x=1"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_health_check_is_answered_while_an_engine_is(path: str, method: str) -> None:
    def asked(known: Snapshot) -> tuple[int, str | None]:
        return code(Stream(POLICY, lambda: known, lambda: 0.0).on_headers(headers(path=path, method=method)))

    everybody = [one.name for one in GIVEN.backends]
    assert asked(KNOWN) == (200, None)
    assert asked(view(GIVEN, dead=everybody[1:])) == (200, None)
    assert asked(view(GIVEN, dead=everybody)) == (503, "no_engine")
    unasked = Snapshot(Known(one, asked=one.name != "polled") for one in GIVEN.backends)
    assert asked(unasked) == (503, "registry_incomplete")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/v1/models", "/v1/models?limit=3"])
def test_the_list_of_models_is_answered_at_the_headers(method: str, path: str) -> None:
    reply = stream().on_headers(headers(method=method, path=path, length=None, ended=True))
    assert code(reply) == (200, None)
    assert [entry["id"] for entry in document(reply)["data"]] == ["llama", "Org/Model", "big"]
    assert isinstance(reply, Answer)
    assert (reply.details, reply.metadata) == ("routegen_models", {"answer": "models"})


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/models/llama", 200),
        ("/v1/models/Org/Model", 200),
        ("/v1/models/Org%2FModel", 200),
        ("/v1/models/Org%2fModel?x=1", 200),
        ("/v1/models/gpt", 404),
        ("/v1/models/%FF%00", 404),
        ("/v1/models/", 404),
    ],
)
def test_one_model_is_answered_by_its_id(path: str, expected: int) -> None:
    reply = stream().on_headers(headers(method="GET", path=path, length=None, ended=True))
    assert code(reply) == (expected, None if expected == 200 else "model_not_found")


def test_a_model_is_503_while_an_engine_has_not_told_its_models() -> None:
    early = Stream(POLICY, lambda: view(GIVEN), lambda: 0.0)
    reply = early.on_headers(headers(method="GET", path="/v1/models/gpt", length=None, ended=True))
    assert code(reply) == (503, "registry_incomplete")
    assert isinstance(reply, Answer)
    assert ("retry-after", "1") in reply.headers


# A gateway that is set up wrongly.


@pytest.mark.parametrize(
    "protocol",
    [
        Protocol("NONE"),
        Protocol("STREAMED"),
        Protocol("BUFFERED_PARTIAL"),
        Protocol("FULL_DUPLEX_STREAMED"),
        Protocol("BUFFERED", send_body_without_waiting=True),
    ],
)
def test_any_other_mode_is_refused_with_a_reason_for_the_log(protocol: Protocol) -> None:
    reply = stream().on_headers(headers(), protocol)
    assert code(reply) == (500, "router_misconfigured")
    assert isinstance(reply, Answer)
    assert reply.fault is not None
    assert protocol.request_body_mode in reply.fault
    assert "request_body_mode BUFFERED" in reply.fault
    assert "mode" not in document(reply)["error"]["message"]


def test_messages_in_the_wrong_order_are_refused() -> None:
    waiting, done = stream(), stream()
    waiting.on_headers(headers())
    done.on_headers(headers())
    done.on_body(body("{}"))
    replies = [
        stream().on_body(body("{}")),
        stream().on_trailers(Trailers()),
        stream().on_unexpected("response_headers"),
        waiting.on_headers(headers()),
        done.on_body(body("{}")),
        done.on_trailers(Trailers()),
        stream().on_headers(Headers(((":path", PATH),), end_of_stream=False)),
        stream().on_headers(Headers(((":method", "POST"),), end_of_stream=False)),
    ]
    for reply in replies:
        assert code(reply) == (500, "router_misconfigured")
        assert isinstance(reply, Answer)
        assert reply.fault


def test_trailers_instead_of_a_body_mean_that_there_is_none() -> None:
    one = stream()
    one.on_headers(headers(length=None))
    assert code(one.on_trailers(Trailers())) == (400, "invalid_json")


def test_the_trace_is_collected_where_it_is_wanted() -> None:
    trace: list[Step] = []
    one = stream()
    one.on_headers(headers())
    one.on_body(body('{"inference_server":"sglang"}'), trace)
    assert [step.outcome for step in trace] == ["started", "decided"]
