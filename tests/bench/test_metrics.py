"""Every formula on requests whose figures are worked out by hand."""

import pytest

from routegen.bench.design import Load, Slo
from routegen.bench.metrics import BY_KEY, COMPARED, METRICS, Cell, meets
from routegen.bench.records import ErrorKind, Request


def request(sent: float, *chunks: float, tokens: int | None = None, error: ErrorKind | None = None) -> Request:
    first = chunks[0] if chunks else None
    return Request(
        session=0,
        block=0,
        arm="a",
        prompt=0,
        scheduled=sent,
        sent=sent,
        first=first,
        first_content=first,
        chunks=chunks,
        end=chunks[-1] if chunks else 0.0,
        completion_tokens=tokens,
        error=error,
    )


FAST = request(0.0, 0.1, 0.2, 0.3, tokens=5)
SLOW = request(1.0, 0.4, 0.8, 2.0, tokens=9)
FAILED = request(1.5, 0.1, tokens=None, error="reset")


def values(key: str, *requests: Request, slo: Slo | None = None) -> list[float]:
    return BY_KEY[key].values(Cell("a", 0, requests, slo or Slo()))


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("ttft", [0.1, 0.4]),
        ("ttft_content", [0.1, 0.4]),
        ("tpot", [0.2 / 4, 1.6 / 8]),
        ("chunk_gap", [0.1, 0.1, 0.4, 1.2]),
        ("e2e", [0.3, 2.0]),
        ("e2e_scheduled", [0.3, 2.0]),
        ("wait", [0.0, 0.0]),
        ("longest_gap", [0.1, 1.2]),
        ("request_rate", [2 / 3]),
        ("token_rate", [14 / 3]),
        ("errors", [1 / 3]),
    ],
)
def test_a_formula_gives_what_its_text_says(key: str, expected: list[float]) -> None:
    assert values(key, FAST, SLOW, FAILED) == pytest.approx(expected)


def test_steady_tokens_are_those_between_the_first_answers_end_and_the_last_sending() -> None:
    last = request(2.0, 0.5, 1.0, tokens=2)
    # from 0.3 to 2.0: none of the first, which ended then; two of the second's three chunks; none of the last's
    assert values("steady_token_rate", FAST, SLOW, last) == pytest.approx([9 * 2 / 3 / 1.7])


def test_there_is_no_steady_state_when_all_was_sent_before_the_first_answer() -> None:
    assert values("steady_token_rate", request(0.0, 0.5, 1.0, tokens=2), request(0.1, 0.5, 1.0, tokens=2)) == []


def test_one_token_and_unknown_counts_have_no_time_per_token() -> None:
    assert values("tpot", request(0.0, 0.1, tokens=1), request(0.0, 0.1, 0.2, tokens=None)) == []


def test_unknown_counts_have_no_token_rate() -> None:
    assert values("token_rate", FAST, request(0.0, 0.1, tokens=None)) == []


def test_goodput_counts_the_answers_that_keep_every_limit() -> None:
    assert values("goodput", FAST, SLOW, FAILED, slo=Slo(ttft=0.2)) == pytest.approx([1 / 3])
    assert values("goodput", FAST, SLOW, slo=Slo(ttft=0.4, e2e=2.0)) == pytest.approx([2 / 3])
    assert values("goodput", FAST, SLOW) == [], "without limits there is none"


@pytest.mark.parametrize(
    ("slo", "kept"),
    [
        (Slo(), True),
        (Slo(ttft=0.1), True),
        (Slo(ttft=0.09), False),
        (Slo(tpot=0.04), False),
        (Slo(ttft=0.1, e2e=0.2), False),
    ],
)
def test_a_request_meets_a_service_level_only_as_a_whole(slo: Slo, kept: bool) -> None:
    assert meets(FAST, slo) is kept


def test_one_token_keeps_any_limit_on_the_time_per_token() -> None:
    assert meets(request(0.0, 0.1, tokens=1), Slo(tpot=0.001))


def test_the_block_value_is_the_median_of_the_requests() -> None:
    cell = Cell("a", 0, (FAST, SLOW, request(0.0, 0.2, 0.4, tokens=3)), Slo())
    assert BY_KEY["e2e"].block(cell) == pytest.approx(0.4)


@pytest.mark.parametrize(("key", "size"), [("e2e_p95", 59), ("ttft_p99", 299)])
def test_a_tail_is_the_blocks_own_percentile_and_needs_its_sample(key: str, size: int) -> None:
    requests = [request(0.0, 0.01 * (number + 1), tokens=1) for number in range(size)]
    share = BY_KEY[key].share
    assert BY_KEY[key].block(Cell("a", 0, tuple(requests), Slo())) == pytest.approx(0.01 * (1 + share * (size - 1)))
    assert BY_KEY[key].block(Cell("a", 0, tuple(requests[1:]), Slo())) is None


def failing(key: str, *requests: Request) -> float | None:
    return BY_KEY[key].block(Cell("a", 0, requests, Slo(), timeout=60.0))


@pytest.mark.parametrize("key", ["e2e", "ttft", "tpot", "longest_gap", "e2e_scheduled"])
def test_a_failed_request_counts_as_one_that_took_the_whole_timeout(key: str) -> None:
    good = failing(key, FAST, SLOW)
    assert good is not None
    assert (failing(key, FAST, SLOW, FAILED) or 0) > good, "fewer answers are not faster ones"
    assert failing(key, FAST, FAILED, FAILED) == 60.0
    assert failing(key, FAILED) == 60.0


def test_neither_the_clients_waiting_nor_pieces_of_an_answer_fail() -> None:
    assert failing("wait", FAST, FAILED) == failing("wait", FAST)
    assert failing("chunk_gap", FAST, FAILED) == failing("chunk_gap", FAST)


def test_where_nobody_counts_tokens_a_failure_alone_is_no_time_per_token() -> None:
    assert failing("tpot", request(0.0, 0.1, 0.2, tokens=None), FAILED) is None


@pytest.mark.parametrize(("count", "given"), [(4, False), (7, False), (8, True)])
def test_the_steady_rate_needs_four_requests_a_worker(count: int, given: bool) -> None:
    requests = tuple(request(number / 2, 0.3, 0.9, tokens=2) for number in range(count))
    cell = Cell("a", 0, requests, Slo(), load=Load(kind="closed", concurrency=2))
    assert (BY_KEY["steady_token_rate"].block(cell) is not None) is given


def test_in_an_open_loop_the_steady_rate_needs_the_time_of_two_answers() -> None:
    load = Load(kind="constant", rate=1.0)
    for count, given in ((3, False), (4, True)):
        requests = tuple(request(float(number), 0.3, 0.9, tokens=2) for number in range(count))
        assert (BY_KEY["steady_token_rate"].block(Cell("a", 0, requests, Slo(), load=load)) is not None) is given


def test_ids_and_keys_are_unique_and_what_is_compared_exists() -> None:
    assert len({metric.id for metric in METRICS}) == len({metric.key for metric in METRICS}) == len(METRICS)
    assert set(COMPARED) <= BY_KEY.keys()
    assert all((metric.each is None) != (metric.whole is None) for metric in METRICS)
