"""The bound on body bytes in flight."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from routegen_router.admission import MOST_REQUESTS, SMALL_BYTES, Admission

MIB = 1 << 20


def test_what_fits_the_bound_exactly_is_let_in_and_one_byte_more_is_not() -> None:
    admission = Admission(8 * MIB)
    assert admission.reserve(8 * MIB) is not None
    assert admission.reserve(SMALL_BYTES + 1) is None
    assert admission.in_flight == 8 * MIB


def test_small_requests_pass_while_large_ones_fill_the_bound_up_to_an_eighth_more() -> None:
    admission = Admission(8 * MIB)
    admission.reserve(8 * MIB)
    passed = 0
    while admission.reserve(SMALL_BYTES) is not None:
        passed += 1
    assert passed == MIB // SMALL_BYTES
    assert admission.reserve(1) is None
    assert admission.reserve(0) is not None


def test_however_small_requests_are_there_is_a_bound_on_their_number() -> None:
    admission = Admission(8 * MIB)
    held = [admission.reserve(0) for _ in range(MOST_REQUESTS)]
    assert None not in held
    assert admission.reserve(0) is None
    assert held[0] is not None
    held[0].release()
    held[0].release()
    assert admission.reserve(0) is not None
    assert admission.reserve(0) is None


def test_released_bytes_are_free_again_and_only_once() -> None:
    admission = Admission(MIB)
    first, second = admission.reserve(MIB // 2), admission.reserve(MIB // 2)
    assert first is not None
    assert second is not None
    first.release()
    first.release()
    assert admission.in_flight == MIB // 2
    first.resize(MIB)
    assert admission.in_flight == MIB // 2


def test_a_corrected_reservation_counts_its_true_size_even_beyond_the_bound() -> None:
    admission = Admission(MIB)
    reservation = admission.reserve(MIB)
    assert reservation is not None
    reservation.resize(10)
    assert admission.in_flight == 10
    reservation.resize(2 * MIB)
    assert admission.in_flight == 2 * MIB
    reservation.release()
    assert admission.in_flight == 0


def test_a_changed_bound_counts_from_the_next_request_on() -> None:
    admission = Admission(MIB)
    admission.limit = 2 * MIB
    assert admission.reserve(2 * MIB) is not None
    admission.limit = MIB
    assert admission.reserve(1) is None


def test_threads_lose_no_bytes() -> None:
    admission = Admission(1 << 40)

    def work(size: int) -> None:
        for _ in range(500):
            reservation = admission.reserve(size)
            assert reservation is not None
            reservation.resize(size + 3)
            reservation.release()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(1, 17)))
    assert admission.in_flight == 0


@given(st.lists(st.integers(0, 3 * MIB), max_size=30), st.data())
def test_bytes_in_flight_are_the_sum_of_what_was_let_in_and_not_released(sizes: list[int], data: st.DataObject) -> None:
    admission = Admission(8 * MIB)
    held = []
    for size in sizes:
        reservation = admission.reserve(size)
        if reservation is not None:
            held.append((size, reservation))
        if data.draw(st.booleans()) and held:
            held.pop()[1].release()
        assert admission.in_flight == sum(size for size, _ in held) <= 9 * MIB
