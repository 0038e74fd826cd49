"""The bound on body bytes that are being decided."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routegen_router import admission as module
from routegen_router.admission import MOST_REQUESTS, SMALL_BYTES, Admission, Reservation

MIB = 1 << 20


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.01)


async def taken(admission: Admission, size: int) -> Reservation:
    reservation = await admission.reserve(size)
    assert reservation is not None
    return reservation


async def started(work: Coroutine[Any, Any, Reservation | None]) -> asyncio.Task[Reservation | None]:
    """Start a reservation and let it get as far as it can."""
    task = asyncio.create_task(work)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return task


@pytest.mark.usefixtures("impatient")
async def test_what_fits_the_bound_exactly_is_let_in_and_one_byte_more_is_not() -> None:
    admission = Admission(8 * MIB)
    await taken(admission, 8 * MIB)
    assert await admission.reserve(SMALL_BYTES + 1) is None
    assert (admission.in_flight, admission.requests) == (8 * MIB, 1)


@pytest.mark.usefixtures("impatient")
async def test_small_requests_pass_while_large_ones_fill_the_bound_up_to_an_eighth_more() -> None:
    admission = Admission(8 * MIB)
    await taken(admission, 8 * MIB)
    waiting = await started(admission.reserve(MIB))
    for _ in range(MIB // SMALL_BYTES):
        await taken(admission, SMALL_BYTES)
    assert await admission.reserve(1) is None
    await taken(admission, 0)
    assert await waiting is None


@pytest.mark.usefixtures("impatient")
async def test_however_small_requests_are_there_is_a_bound_on_their_number_and_on_those_who_wait() -> None:
    admission = Admission(8 * MIB)
    held = [await taken(admission, 0) for _ in range(MOST_REQUESTS - 2)]
    await taken(admission, 8 * MIB)
    waiting = await started(admission.reserve(MIB))
    assert await admission.reserve(0) is None
    held[0].release()
    held[0].release()
    await taken(admission, 0)
    assert await admission.reserve(0) is None
    assert await waiting is None
    await taken(admission, 0)


async def test_who_waits_is_let_in_as_soon_as_there_is_room_and_in_turn() -> None:
    admission = Admission(8 * MIB)
    first, second = await taken(admission, 6 * MIB), await taken(admission, 2 * MIB)
    large = await started(admission.reserve(7 * MIB))
    smaller = await started(admission.reserve(MIB))
    second.release()
    await asyncio.sleep(0)
    assert not smaller.done()  # else the large one would wait for ever behind smaller ones
    first.release()
    assert await large is not None
    assert await smaller is not None
    assert admission.in_flight == 8 * MIB


async def test_a_raised_bound_lets_in_at_the_next_end() -> None:
    admission = Admission(MIB)
    held = await taken(admission, MIB)
    waiting = await started(admission.reserve(2 * MIB))
    admission.limit = 2 * MIB
    held.release()
    assert await waiting is not None


@pytest.mark.usefixtures("impatient")
async def test_who_gives_up_makes_way_for_those_behind() -> None:
    admission = Admission(8 * MIB)
    await taken(admission, 6 * MIB)
    large = await started(admission.reserve(7 * MIB))
    small = await started(admission.reserve(MIB))
    large.cancel()
    assert await small is not None
    with pytest.raises(asyncio.CancelledError):
        await large
    assert (admission.in_flight, admission.requests) == (7 * MIB, 2)


async def test_who_is_cancelled_in_the_turn_that_lets_it_in_gives_back_what_it_got() -> None:
    admission = Admission(MIB)
    held = await taken(admission, MIB)
    waiting = await started(admission.reserve(MIB))
    held.release()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (admission.in_flight, admission.requests) == (0, 0)


async def test_what_was_let_in_grows_beyond_the_bound_one_at_a_time() -> None:
    admission = Admission(8 * MIB)
    first, second, third = [await taken(admission, size * MIB) for size in (3, 3, 2)]
    await first.grow(4 * MIB)
    growing = [await started(grown(one, 4 * MIB)) for one in (second, third)]
    assert (admission.in_flight, [task.done() for task in growing]) == (12 * MIB, [False, False])
    first.shrink(3 * MIB)
    await asyncio.gather(growing[0])
    assert (admission.in_flight, growing[1].done()) == (13 * MIB, False)
    second.release()
    await asyncio.gather(growing[1])
    third.release()
    first.release()
    assert admission.in_flight == 0


async def test_who_gives_up_growing_holds_what_it_held() -> None:
    admission = Admission(8 * MIB)
    first, second, third = [await taken(admission, size * MIB) for size in (4, 2, 2)]
    await first.grow(2 * MIB)
    growing = [await started(grown(one, MIB)) for one in (second, third)]
    growing[0].cancel()
    first.release()  # lets in the one whose task hasn't heard yet that it is cancelled, or the one behind it
    given_up, got = await asyncio.gather(*growing, return_exceptions=True)
    assert isinstance(given_up, asyncio.CancelledError)
    assert got is third
    assert (admission.in_flight, second.size, third.size) == (5 * MIB, 2 * MIB, 3 * MIB)


async def grown(reservation: Reservation, more: int) -> Reservation:
    await reservation.grow(more)
    return reservation


@given(st.lists(st.integers(0, 3 * MIB), max_size=30), st.data())
def test_bytes_in_flight_are_the_sum_of_what_was_let_in_and_not_released(sizes: list[int], data: st.DataObject) -> None:
    async def run() -> None:
        admission = Admission(8 * MIB)
        tasks = []
        for size in sizes:
            tasks.append((size, await started(admission.reserve(size))))
            what = data.draw(st.sampled_from(["nothing", "release", "leave"]))
            if what == "leave":
                tasks[-1][1].cancel()
            done = [pair for pair in tasks if pair[1].done() and not pair[1].cancelled()]
            if what == "release" and done:
                tasks.remove(done[0])
                reservation = done[0][1].result()
                assert reservation is not None
                reservation.release()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            held = sum(size for size, task in tasks if task.done() and not task.cancelled())
            assert admission.in_flight == held <= 9 * MIB
        for _, task in tasks:
            task.cancel()
        await asyncio.gather(*(task for _, task in tasks), return_exceptions=True)

    asyncio.run(run())
