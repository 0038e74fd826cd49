"""The rule's own tests, which need nothing but the router: ``pytest examples/plugin/tests``."""

from __future__ import annotations

from example_fallback import Fallback

from routegen_router.standing import Narrow, Pass
from routegen_router.testing import backends, check, standing

RULE = Fallback(name="fallback", names=("a", "b"))
ENGINES = backends("a", "b", "c")


def test_it_keeps_what_every_rule_promises() -> None:
    check(RULE, Fallback(name="by-owner", names=("owner-b", "a")))


def test_the_first_that_answers_is_taken() -> None:
    first = RULE.choose(standing(ENGINES, model="m"))
    assert isinstance(first, Narrow)
    assert first.left == ("a",)
    second = RULE.choose(standing(ENGINES, model="m", dead=["a"]))
    assert isinstance(second, Narrow)
    assert second.left == ("b",)


def test_it_passes_where_none_can() -> None:
    assert isinstance(RULE.choose(standing(ENGINES, candidates=["c"])), Pass)
