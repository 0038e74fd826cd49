"""Whose body is read next."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from routegen_router.turns import LONG, Turns

PLACES = 2
STEPS = st.lists(
    st.tuples(st.sampled_from(["come", "leave", "give up", "step"]), st.integers(0, 9), st.booleans()), max_size=40
)


@given(STEPS)
def test_places_are_neither_lost_nor_given_twice(steps: list[tuple[str, int, bool]]) -> None:
    asyncio.run(play(steps))


async def play(steps: list[tuple[str, int, bool]]) -> None:
    turns = Turns(PLACES)
    tasks: list[asyncio.Task[None]] = []
    leave: list[asyncio.Event] = []
    reading: list[int] = []

    async def body(length: int, left: asyncio.Event) -> None:
        await turns.take(length)
        reading.append(length)
        try:
            assert len(reading) <= PLACES
            assert sum(length > LONG for length in reading) < PLACES
            await left.wait()
        finally:
            reading.remove(length)
            turns.give_back(length)

    for what, number, long in steps:
        match what:
            case "come":
                leave.append(asyncio.Event())
                tasks.append(asyncio.create_task(body(number + (LONG + 1 if long else 1), leave[-1])))
            case "leave" if leave:
                leave[number % len(leave)].set()
            case "give up" if tasks:
                tasks[number % len(tasks)].cancel()
            case _:
                await asyncio.sleep(0)
    for event in leave:
        event.set()
    async with asyncio.timeout(5):  # a lost place would let them wait for ever
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(result is None or isinstance(result, asyncio.CancelledError) for result in results)
    async with asyncio.timeout(5):
        await turns.take(LONG + 1)
        await turns.take(LONG)
