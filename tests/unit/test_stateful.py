"""Requests that continue what one engine remembers: nothing but the client's own choice leads them anywhere."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routegen_router.config import Backend
from routegen_router.decide import END, ONLY_CANDIDATE, Route, Step, decide
from routegen_router.messages import Routed
from routegen_router.policy import Policy, Reading
from routegen_router.refusals import BodyError, Reject
from routegen_router.request import Facts, Source
from routegen_router.rules import Lookup, NoRoute, Prefer, Rule, Split
from routegen_router.second import Seconds
from routegen_router.stream import Stream
from support.policy import BACKENDS, BY_ENGINE, BY_OWNER, EVEN, backend, config, facts, refused, run, view
from support.streams import body, headers

PATH = "/v1/responses"
GOLD = Prefer(name="gold", names=("sglang",))
STICKY = Split(name="sticky", weights=(("vllm", 1), ("sglang", 1)), sticky_by=Source(body=("user",)))
CHAIN = (BY_ENGINE, BY_OWNER, EVEN)


def follow_up(engine: str | None = None, model: str | None = "llama", **fields: str) -> Facts:
    return facts(engine, model=model, path=PATH, **({"previous_response_id": "resp_1"} | fields))


@pytest.mark.parametrize("rules", [CHAIN, (BY_ENGINE, GOLD), (STICKY,), (GOLD, EVEN), (BY_ENGINE,), ()])
def test_without_a_name_it_is_refused_whatever_else_could_choose(rules: tuple[Rule, ...]) -> None:
    for tenth in range(10):
        assert refused(run(follow_up(user="u"), rules, tenth / 10))[:3] == (
            400,
            "stateful_request",
            "previous_response_id",
        )


@pytest.mark.parametrize(
    ("asked", "rules", "expected"),
    [
        (follow_up("sglang"), CHAIN, Route("sglang", "engine")),
        (follow_up("vllm-b"), CHAIN, Route("vllm-b", "engine")),
        (follow_up(owned_by="sglang"), CHAIN, Route("sglang", "owner")),
        (follow_up("vllm", owned_by="vllm-a"), CHAIN, Route("vllm-a", "owner")),
        (follow_up("vllm", model="mistral"), CHAIN, Route("vllm-b", "engine")),
        (follow_up(model="qwen"), CHAIN, Route("sglang", "split")),
        (follow_up(model="big"), CHAIN, Route("trtllm", ONLY_CANDIDATE)),
        (follow_up("sglang"), (GOLD, BY_ENGINE), Route("sglang", "engine")),
    ],
)
def test_who_was_named_or_is_the_only_one_gets_it(asked: Facts, rules: tuple[Rule, ...], expected: Route) -> None:
    assert run(asked, rules) == expected


@pytest.mark.parametrize(
    ("asked", "rules", "code"),
    [
        (follow_up("vllm"), CHAIN, "stateful_request"),  # an owner of two, and one of them remembers
        (follow_up("vllm-a"), (GOLD, BY_ENGINE), "engine_model_mismatch"),  # the operator's order holds
        (follow_up("vllm-a"), (EVEN, BY_ENGINE), "stateful_request"),
        (follow_up("gold"), CHAIN, "unknown_inference_server"),
        (follow_up("sglang", model="mistral"), CHAIN, "engine_model_mismatch"),
        (follow_up(model="gpt"), CHAIN, "model_not_found"),
        (follow_up(), (NoRoute(name="end", message="no"),), "no_route"),
    ],
)
def test_what_is_refused_for_other_reasons_still_is(asked: Facts, rules: tuple[Rule, ...], code: str) -> None:
    assert refused(run(asked, rules))[1] == code


def test_an_engine_that_has_stopped_answering_is_not_left() -> None:
    given_ = config(BACKENDS, CHAIN)
    known = view(given_, dead=["sglang"])
    assert run(follow_up("sglang"), known=known) == Route("sglang", "engine")
    assert refused(run(follow_up(), (GOLD, *CHAIN), known=known))[1] == "stateful_request"


def test_one_backend_needs_no_name() -> None:
    alone = config([backend("only", "vllm")], (BY_ENGINE, GOLD, Split(name="split", weights=(("only", 1),))))
    assert isinstance(decide(follow_up(model=None), alone, view(alone), lambda: 0.5), Route)


def test_what_begins_something_is_split_as_ever() -> None:
    assert run(facts(model="llama", path=PATH)) == Route("vllm-a", "split")
    # The Responses API alone has these fields; elsewhere they are the engine's business.
    assert run(facts(model="llama", previous_response_id="resp_1")) == Route("vllm-a", "split")


def test_the_sentence_says_how_to_name_the_engine() -> None:
    reject = run(follow_up())
    assert isinstance(reject, Reject)
    assert "inference_server or owned_by" in reject.message
    assert "x-inference-server" in reject.message
    header, query = (
        msgspec.structs.replace(BY_ENGINE, source=one) for one in (Source(header="x-engine"), Source(query="engine"))
    )
    there = run(follow_up(), (header, query))
    assert isinstance(there, Reject)
    assert "name it by the header x-engine or the query's engine." in there.message
    nothing = run(follow_up(), (EVEN,))
    assert isinstance(nothing, Reject)
    assert "can't" in nothing.message


def test_the_trace_shows_where_it_ended() -> None:
    steps: list[Step] = []
    given_ = config(BACKENDS, (BY_ENGINE, GOLD))
    decide(follow_up(), given_, view(given_), lambda: 0.0, steps)
    assert [(step.rule, step.outcome) for step in steps] == [
        ("model", "started"),
        ("engine", "passed"),
        ("gold", "narrowed"),
        (END, "rejected"),
    ]


def reading() -> Reading:
    """How a body of the Responses API is read."""
    return Policy(GIVEN).reading(PATH)


GIVEN = config(BACKENDS, (*CHAIN, STICKY), paths=("/v1/chat/completions", PATH))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('"previous_response_id": "resp_1"', "previous_response_id"),
        ('"previous_response_id": "resp_1", "instructions": "\\ud83d"', "previous_response_id"),
        ('"previous\\u005fresponse_id": "resp_1"', "previous_response_id"),
        ('"previous_response_id": ""', "previous_response_id"),
        ('"previous_response_id": 5', "previous_response_id"),
        ('"previous_response_id": true', "previous_response_id"),
        ('"previous_response_id": ["x"]', "previous_response_id"),
        ('"conversation": "conv_1"', "conversation"),
        ('"conversation": {"id": "conv_1"}', "conversation"),
        ('"conversation": {}, "instructions": null', "conversation"),
        ('"previous_response_id": null', None),
        ('"previous_response_id": null, "conversation": null, "input": "\\ud83d"', None),
        ('"input": [{"previous_response_id": "resp_1"}]', None),
        ('"metadata": {"conversation": "x"}', None),
    ],
)
def test_a_body_that_continues_something_is_known_however_it_is_written(text: str, named: str | None) -> None:
    one = Stream(Policy(GIVEN), lambda: view(GIVEN), lambda: 0.0)
    one.on_headers(headers(path=PATH))
    reply = one.on_body(body('{"model": "llama", ' + text + "}"))
    if named is None:
        assert isinstance(reply, Routed)
    else:
        assert not isinstance(reply, Routed)
        assert json.loads(reply.body)["error"]["param"] == named
        assert reply.code == "stateful_request"


@pytest.mark.parametrize("value", ['"x"', '{"id": "x"}', "null", "5", "true", "[]"])
@pytest.mark.parametrize("again", ['"x"', '{"id": "x"}', "null", "5", "true", "[]"])
def test_a_field_that_stands_twice_never_hides_that_something_is_continued(value: str, again: str) -> None:
    text = f'{{"model": "llama", "conversation": {value}, "conversation": {again}}}'
    try:
        fields = reading().reader.read(text.encode()).values
    except BodyError as error:
        assert error.reject.code == "duplicate_field"  # noqa: PT017 - either is right
    else:
        assert ("conversation",) in fields or again == "null"
        assert again != "null" or value in {"null", "5", "true", "[]"}


def test_rules_may_read_within_a_conversation() -> None:
    inside = Lookup(name="inside", source=Source(body=("conversation", "id")), on_unknown="next")
    read = Policy(config(BACKENDS, (inside,), paths=(PATH,))).reading(PATH).reader
    assert read.read(b'{"conversation": {"id": "c"}}').values == {("conversation", "id"): "c", ("conversation",): ""}
    assert read.read(b'{"conversation": "c"}').values == {("conversation",): ""}
    assert read.read(b'{"conversation": {"id": null}}').values == {("conversation",): ""}
    assert read.read(b'{"conversation": null}').values == {}


def test_other_paths_are_read_as_before() -> None:
    policy = Policy(GIVEN)
    assert policy.reading("/v1/chat/completions").reads == policy.reads
    assert policy.reading(PATH).reads != policy.reads


@given(
    named=st.sampled_from([None, "vllm", "sglang", "vllm-a", "trtllm"]),
    model=st.sampled_from([None, "llama", "qwen", "mistral", "big"]),
    dead=st.sets(st.sampled_from([one.name for one in BACKENDS])),
    rules=st.permutations([BY_ENGINE, BY_OWNER, GOLD, EVEN, STICKY]),
    points=st.tuples(st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True)),
)
def test_no_chance_and_no_death_changes_where_it_goes(
    named: str | None, model: str | None, dead: set[str], rules: list[Rule], points: tuple[float, float]
) -> None:
    made = config([standing_in(one) for one in BACKENDS], rules)
    asked = follow_up(named, model, user="u")
    found: set[str] = set()
    for known in (view(made), view(made, dead=dead)):
        for point in points:
            decision = decide(asked, made, known, lambda point=point: point)  # type: ignore[misc]
            if isinstance(decision, Route):
                found.add(decision.backend)
                assert Seconds(made).of(decision, asked, known, lambda: 0.5) is None
    assert len(found) <= 1


def standing_in(one: Backend) -> Backend:
    """With everybody else as its second choice."""
    others = tuple(other.name for other in BACKENDS if other.name != one.name)
    return msgspec.structs.replace(one, seconds=others)
