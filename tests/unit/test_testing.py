"""What ``routegen_router.testing`` holds rules to: the built-in ones keep it, and each broken promise is told."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routegen_router.refusals import Reject
from routegen_router.request import Source
from routegen_router.rules import Rule, Verb
from routegen_router.standing import Decide, Narrow, Outcome, Pass, Refuse, Standing
from routegen_router.testing import backends, check, standing
from support.rules import any_rule

HEADER = Source(header="x-a")


@settings(max_examples=25, deadline=None)
@given(
    any_rule(st.sampled_from(["a", "b", "owner-b"]), st.sampled_from([HEADER, Source(body=("t", "u"))]), st.just(()))
)
def test_every_built_in_rule_keeps_every_promise(rule: Rule) -> None:
    check(rule)


class _Odd(Rule, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="odd"):
    """Does one thing wrong."""

    wrong: Annotated[str, Verb("odd", "What.")]

    def choose(self, standing: Standing) -> Outcome:
        answers: dict[str, Any] = {
            "nothing": lambda: None,
            "no candidate": lambda: Narrow(("nobody",), str),
            "wrong backend": lambda: Decide("nobody", str),
            "shares": lambda: Decide(standing.candidates[0], str, lambda: {"a": 0.5}),
            "good status": lambda: Refuse(Reject(200, "x", "x.")),
            "no message": lambda: Refuse(Reject(400, "x", "")),
            "reason": lambda: Pass(lambda: 1),  # type: ignore[arg-type, return-value]  # what is tested
            "undeclared": lambda: Pass(lambda: str(standing.facts.read(HEADER))),
            "name": lambda: Pass(lambda: ",".join(standing.bearing("vllm"))),
            "changes": lambda: _changed(standing),
            "random": lambda: Decide(standing.candidates[next(_COUNTER) % len(standing.candidates)], str),
        }
        if self.wrong in {"undeclared", "name"}:
            answers[self.wrong]().why()
        outcome: Outcome = answers[self.wrong]()
        return outcome


def _changed(standing: Standing) -> Outcome:
    standing.candidates = ()
    return Pass(str)


_COUNTER = iter(range(10**9))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("nothing", "it answered None, not Pass, Narrow, Decide or Refuse"),
        ("no candidate", "it narrowed to no candidate"),
        ("wrong backend", "it decided for nobody, which is no candidate"),
        ("shares", "the shares don't add up to 1"),
        ("good status", "it refused with status 200, which is no error"),
        ("no message", "a refusal needs a code and a message"),
        ("reason", "its reason is no text"),
        ("undeclared", "it reads header: x-a, which no field of its class holds"),
        ("name", "it asks for vllm; a field of its class must hold it as a Name"),
        ("changes", "it changed the candidates"),
        ("random", "and the second time"),
    ],
)
def test_a_broken_promise_is_told(wrong: str, told: str) -> None:
    with pytest.raises(AssertionError, match=told):
        check(_Odd(name="odd", wrong=wrong))


def test_a_standing_is_as_it_is_asked_for() -> None:
    made = standing(backends("a", "b"), model="m", fields={"t.u": "v"}, headers={"x-a": "h"}, dead=["a"], draw=0.5)
    assert (made.candidates, made.draw(), made.bearing("owner-b")) == (("a", "b"), 0.5, ("b",))
    assert (made.facts.read(HEADER), made.facts.read(Source(body=("t", "u")))) == ("h", "v")
    assert made.alive(("a", "b")) == ("b",)
    assert standing(backends("a", "b"), candidates=["b"]).candidates == ("b",)
    assert standing(backends("a"), model="other").candidates == ()
