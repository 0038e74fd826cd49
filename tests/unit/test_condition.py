"""What each thing learned of an engine makes of it."""

from __future__ import annotations

import pytest

from routegen_router.condition import FAILURES, SILENCES, Polled
from routegen_router.fetch import KINDS, PollError
from routegen_router.models import Known
from support.policy import answer, backend

NEW = Polled(Known(backend("one", polled=True), asked=False))
TOLD = NEW.answered(answer("m"))
REFUSED, SILENT = PollError("refused", ""), PollError("unreachable", "")
DOWN = TOLD.looked(REFUSED)


def state(polled: Polled) -> tuple[bool, bool, str | None]:
    return polled.known.asked, polled.known.alive, polled.trouble


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (NEW, (False, True, None)),
        (TOLD, (True, True, None)),
        (NEW.slow(), (True, True, "timeout")),
        (NEW.slow().answered(answer("m")), (True, True, None)),
        (NEW.slow().failed(PollError("timeout", "")), (True, True, "timeout")),
        (NEW.failed(PollError("timeout", "")).slow().failed(PollError("timeout", "")), (True, False, "timeout")),
        (NEW.failed(PollError("key", "")).failed(PollError("key", "")), (True, True, "key")),
        (NEW.failed(PollError("status", "")).failed(PollError("status", "")), (True, False, "status")),
        (NEW.failed(PollError("status", "")).failed(PollError("key", "")), (True, True, "key")),
        (NEW.failed(PollError("speaks_tls", "")), (True, False, "speaks_tls")),
        (NEW.failed(PollError("tls", "")), (True, True, "tls")),
        (NEW.failed(REFUSED), (True, False, "refused")),
        (NEW.looked(REFUSED), (False, False, "refused")),
        (DOWN, (True, False, "refused")),
        (DOWN.looked(None), (True, False, "warming")),
        (DOWN.looked(None).warm(warming=True).answered(answer("m")), (True, False, "warming")),
        (DOWN.looked(None).warm(warming=False), (True, True, None)),
        (DOWN.looked(None).answered(answer("m")).warm(warming=False), (True, True, None)),
        (TOLD.warm(warming=True).looked(REFUSED), (True, False, "refused")),
        (TOLD.looked(SILENT), (True, True, None)),
        (TOLD.looked(SILENT).looked(SILENT), (True, True, None)),
        (TOLD.looked(SILENT).looked(SILENT).looked(SILENT), (True, False, "unreachable")),
        (TOLD.looked(SILENT).looked(SILENT).looked(None).looked(SILENT), (True, True, None)),
        (TOLD.looked(SILENT).looked(REFUSED), (True, False, "refused")),
    ],
)
def test_each_thing_learned_makes_this_of_an_engine(after: Polled, expected: tuple[bool, bool, str | None]) -> None:
    assert state(after) == expected


def test_the_last_good_answer_is_kept_whatever_comes() -> None:
    after = TOLD
    for _ in range(FAILURES + SILENCES):
        after = after.failed(PollError("status", "")).looked(SILENT).looked(REFUSED).slow()
        assert after.known.answer == TOLD.known.answer


def test_every_kind_has_words() -> None:
    assert {"refused", "unreachable", "timeout", "warming", "key"} <= KINDS.keys()
