"""``reject``: how it is written, and what it does."""

from __future__ import annotations

from routegen_router.refusals import Reject
from routegen_router.rules import NoRoute
from support.policy import BY_ENGINE, facts, refused, run
from support.written import rule


def test_it_is_written_like_this() -> None:
    assert rule("reject: Say which.") == NoRoute(name="reject", message="Say which.")


def test_a_chain_that_ends_in_reject_refuses_with_its_message() -> None:
    decision = run(facts(), (BY_ENGINE, NoRoute(name="no", message="Name an engine.")))
    assert refused(decision) == (400, "no_route", None, "no")
    assert isinstance(decision, Reject)
    assert decision.message == "Name an engine."
