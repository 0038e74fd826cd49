"""``stickyBy`` as a list: the first place that has a value, at the end the beginning of the conversation."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routegen.compile import compile_text
from routegen.emit.router_config import router_config
from routegen_router import beginning
from routegen_router.body import BodyReader
from routegen_router.config import dump, load, reads
from routegen_router.messages import Routed
from routegen_router.models import Known, Snapshot
from routegen_router.policy import Policy
from routegen_router.request import BEGINNING
from routegen_router.stream import Stream
from support.streams import body, headers

ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: sticky}
spec:
  gateway: {target: envoy}
  models: {poll: {enabled: false}, unknown: allow}
  backends:
    a: {endpoints: [127.0.0.1:8001]}
    b: {endpoints: [127.0.0.1:8002]}
    c: {endpoints: [127.0.0.1:8003]}
  rules:
    - split: {a: 1, b: 1, c: 1}
      stickyBy: [{header: x-session-id}, {body: prompt_cache_key}, {body: metadata.session_id}, {prefix: true}]
"""
CONFIG = load(dump(router_config(compile_text(ROUTES, "routes.yaml"))))
POLICY = Policy(CONFIG)
VIEW = Snapshot(map(Known, CONFIG.backends))
SYSTEM = {"role": "system", "content": "You are kind."}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def where(document: Any, *more: tuple[str, str], point: float = 0.0) -> str:
    one = Stream(POLICY, lambda: VIEW, lambda: point)
    one.on_headers(headers(*more))
    reply = one.on_body(body(document if isinstance(document, bytes) else json.dumps(document)))
    assert isinstance(reply, Routed), reply
    return reply.backend


def conversation(turns: int, number: int = 0) -> list[dict[str, Any]]:
    talk: list[dict[str, Any]] = [SYSTEM, user(f"question {number}")]
    for turn in range(turns):
        talk += [{"role": "assistant", "content": f"answer {turn}"}, user(f"more {turn}")]
    return talk


def test_a_conversation_stays_where_it_began() -> None:
    for number in range(30):
        chosen = {where({"messages": conversation(turns, number)}, point=turns / 7) for turns in range(6)}
        assert len(chosen) == 1


def test_conversations_spread() -> None:
    counts = Counter(where({"messages": conversation(0, number)}) for number in range(300))
    assert set(counts) == {"a", "b", "c"}
    assert min(counts.values()) > 60


def test_the_first_place_that_has_a_value_counts() -> None:
    talk = {"messages": conversation(0)}
    for number in range(20):
        session, cache = ("x-session-id", f"s{number}"), {"prompt_cache_key": f"k{number}"}
        by_session = where(talk, session)
        assert where({"messages": conversation(3, 9), **cache}, session) == by_session
        assert where({"prompt": "other"}, session) == by_session
        assert where({**talk, **cache}) == where({"input": "x", **cache})
        assert where({**talk, **cache}, ("x-session-id", "")) == where({"input": "x", **cache})


@pytest.mark.parametrize(
    ("first", "later"),
    [
        ({"messages": conversation(0)}, {"messages": conversation(4)}),
        ({"messages": conversation(0)}, {"temperature": 1, "messages": conversation(2), "model": "other"}),
        ({"input": [user("hi")]}, {"input": [user("hi"), {"type": "reasoning", "summary": []}, user("more")]}),
        ({"input": "x" * 300}, {"input": "x" * 300 + "more"}),
        ({"prompt": "x" * 256}, {"prompt": "x" * 1000}),
        ({"messages": [user("x" * 100_000)]}, {"messages": [user("x" * 100_000), user("y")]}),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {"type": "e"}}]}
                ]
            },
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}, user("more")]},
        ),
    ],
)
def test_what_comes_later_changes_nothing(first: Any, later: Any) -> None:
    one, two = (beginning.key_of(json.dumps(document).encode()) for document in (first, later))
    assert one is not None
    assert one == two


@pytest.mark.parametrize(
    "document",
    [{"messages": [SYSTEM, user("another")]}, {"messages": [user("question 0")]}, {"input": "question 0"}, {}],
)
def test_another_beginning_is_another_key(document: Any) -> None:
    assert beginning.key_of(json.dumps(document).encode()) != beginning.key_of(
        json.dumps({"messages": conversation(0)}).encode()
    )


@pytest.mark.parametrize("text", ["[]", "{}", "null", "5", "true", "[[", "[{", "[null]", "[[1,2],[3]]", '""', "[5]"])
def test_any_prompt_is_looked_at_without_harm(text: str) -> None:
    beginning.key_of(f'{{"messages": {text}}}'.encode())


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_nothing_that_a_client_sends_is_an_error(prompt: Any) -> None:
    text = json.dumps({"messages": prompt}).encode()
    assert beginning.key_of(text) == beginning.key_of(memoryview(text))


def test_a_lone_surrogate_is_read_as_ever() -> None:
    text = b'{"messages": [{"role": "user", "content": "cut \\ud83d"}]}'
    found = BodyReader(reads(CONFIG.rules)).read(text).values
    assert BEGINNING in found
    assert where(text) == where(text)


def test_every_process_says_the_same() -> None:
    text = json.dumps({"messages": conversation(2)})
    program = f"from routegen_router import beginning; print(beginning.key_of({text.encode()!r}))"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
    assert told == beginning.key_of(text.encode())


def test_the_single_form_stays() -> None:
    single = ROUTES.replace(
        "[{header: x-session-id}, {body: prompt_cache_key}, {body: metadata.session_id}, {prefix: true}]",
        "{header: x-session-id}",
    )
    made = router_config(compile_text(single, "routes.yaml"))
    assert b'"sticky_by": {' in dump(made)
    assert load(dump(made)) == made
    assert not reads(made.rules).begins
