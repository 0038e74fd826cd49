"""Bodies that are read in a process of their own: the same answers, and no harm from one that ends."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from unittest import mock

import pytest

from routegen_router import readers
from routegen_router.body import BodyReader, Fields
from routegen_router.config import Reads
from routegen_router.readers import AT_ONCE, CAREFULLY, Readers
from routegen_router.refusals import BodyError, Reject
from routegen_router.request import Bytes
from routegen_router.turns import LONG
from support.bodies import READER, READS
from support.router import body, headers, router_config, running, talk, wait_for

PLAIN = b'{"model":"m","user":"u","x":"' + b"a" * AT_ONCE + b'"}'
PADDING = b',"x":"' + b"a" * CAREFULLY + b'"}'
SHORT = [
    b'{"model":"m\\ud83d\\ude00","user":"u"}',
    b'{"model":null,"stream":1.50,"metadata":{"engine":"\xe6\xa8\xa1"}}',
    b'{"prompt":"\\ud800","user":"\\ud83d\\ude00"}',
    b'{"model":5}',
    b'{"model":"a","model":null}',
    b'{"user":"\\udc00"}',
    b'{"x":nope}',
    b'{"x":"\xff"}',
    b"[]",
    b'{"x":' + b"[" * 100_000,
]


@pytest.fixture
async def several() -> AsyncIterator[Readers]:
    made = Readers()
    yield made
    made.close()


def here(raw: bytes) -> Fields | Reject:
    try:
        return READER.read(raw)
    except BodyError as error:
        return error.reject


class Unasked(BodyReader):
    """A reader for bodies that mustn't be read in this process."""

    def __init__(self) -> None:
        super().__init__(READS)

    def read_at_once(self, raw: Bytes) -> None:
        """One pass, which doesn't tell."""
        assert len(raw) <= AT_ONCE

    def read_carefully(self, raw: bytes) -> Fields:
        """Not in this process."""
        raise AssertionError(f"{len(raw)} bytes were read here")


@pytest.mark.parametrize("raw", SHORT, ids=repr)
async def test_a_reader_process_finds_what_this_process_finds(several: Readers, raw: bytes) -> None:
    with mock.patch.object(readers, "AT_ONCE", 0):
        assert await several.read(READS, READER, memoryview(raw)) == here(raw)
    longer = raw.removesuffix(b"}") + PADDING if raw.endswith(b"}") else raw
    assert await several.read(READS, READER, longer) == here(longer)


async def test_what_is_long_or_takes_many_passes_is_not_read_here(several: Readers) -> None:
    assert await several.read(READS, Unasked(), PLAIN) == here(PLAIN)
    careful = b'{"model":null' + PADDING
    assert await several.read(READS, Unasked(), careful) == here(careful)
    assert len(several._idle) == 1


async def test_bodies_beyond_the_number_of_readers_wait_and_each_gets_its_own_answer(several: Readers) -> None:
    bodies = [b'{"model":"m%d"' % number + PADDING for number in range(20)]
    with mock.patch.object(readers, "AT_ONCE", 0):
        found = await asyncio.gather(*(several.read(READS, READER, raw) for raw in bodies))
    assert found == [here(raw) for raw in bodies]
    assert len(several._idle) == readers.READERS


async def test_a_reader_is_told_which_fields_to_find(several: Readers) -> None:
    other = Reads(frozenset(), frozenset({("model",), ("x", "y")}), frozenset())
    raw = b'{"model":"m","x":{"y":"z"},"user":"u"}'
    with mock.patch.object(readers, "AT_ONCE", 0):
        for _ in range(2):
            assert await several.read(other, READER, raw) == BodyReader(other).read(raw)
            assert await several.read(READS, READER, raw) == here(raw)


async def both(readers: Readers) -> list[int]:
    """Let both reader processes start; returns their process ids, that of the one that is asked next first."""
    await asyncio.gather(*(readers.read(READS, READER, PLAIN) for _ in range(2)))
    return [idle._process.pid for idle in reversed(readers._idle)]


async def settled() -> None:
    """Let every task go as far as it gets while the reader processes stand still."""
    for _ in range(10):
        await asyncio.sleep(0)


async def in_order(several: Readers, lengths: Iterable[int]) -> tuple[list[asyncio.Task[None]], list[int]]:
    """Ask for bodies of these lengths, one after the other; the second list grows by each length that was read."""
    done: list[int] = []

    async def read(length: int) -> None:
        raw = b'{"model":"m"' + b" " * (length - 13) + b"}"
        assert await several.read(READS, READER, raw) == here(raw)
        done.append(length)

    tasks = []
    for length in lengths:
        tasks.append(asyncio.create_task(read(length)))
        await settled()
    return tasks, done


async def test_long_bodies_leave_a_reader_to_those_of_up_to_two_megabytes(several: Readers) -> None:
    first, _ = await both(several)
    os.kill(first, signal.SIGSTOP)
    try:
        tasks, done = await in_order(several, [LONG + 1, LONG + 2, LONG])
        await tasks[2]
        assert done == [LONG]
    finally:
        os.kill(first, signal.SIGCONT)
    await asyncio.gather(*tasks)
    assert done == [LONG, LONG + 1, LONG + 2]


async def test_shorter_bodies_are_read_first(several: Readers) -> None:
    first, second = await both(several)
    os.kill(first, signal.SIGSTOP)
    os.kill(second, signal.SIGSTOP)
    lengths = [AT_ONCE + more for more in (1, 2, 9, 7, 8, 5)]
    try:
        tasks, done = await in_order(several, lengths)
        os.kill(second, signal.SIGCONT)
        await asyncio.gather(*tasks[1:])
        assert done == [lengths[1], *sorted(lengths[2:])]
    finally:
        os.kill(first, signal.SIGCONT)
        os.kill(second, signal.SIGCONT)
    await asyncio.gather(*tasks)


async def test_a_request_that_is_given_up_leaves_the_reader_in_step(several: Readers) -> None:
    await several.read(READS, READER, PLAIN)
    [idle] = several._idle
    for _ in range(5):
        os.kill(idle._process.pid, signal.SIGSTOP)
        work = asyncio.create_task(several.read(READS, READER, PLAIN.replace(b'"m"', b'"given up"')))
        await settled()
        work.cancel()
        await settled()
        assert not work.done()
        os.kill(idle._process.pid, signal.SIGCONT)
        with pytest.raises(asyncio.CancelledError):
            await work
        assert await several.read(READS, READER, PLAIN) == here(PLAIN)
    assert several._idle == [idle]


async def test_a_request_that_is_given_up_while_it_waits_is_not_read(several: Readers) -> None:
    stopped = await both(several)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    tasks, done = await in_order(several, [AT_ONCE + more for more in (1, 2, 3, 4)])
    tasks[2].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[2]
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    await asyncio.gather(tasks[0], tasks[1], tasks[3])
    assert sorted(done) == [AT_ONCE + more for more in (1, 2, 4)]


async def test_a_reader_that_dies_fails_its_own_body_only(several: Readers) -> None:
    await several.read(READS, READER, PLAIN)
    several._idle[0]._process.kill()
    with pytest.raises((OSError, EOFError)):
        await several.read(READS, READER, PLAIN)
    assert await several.read(READS, READER, PLAIN) == here(PLAIN)


async def test_closing_ends_the_readers(several: Readers) -> None:
    await several.read(READS, READER, PLAIN)
    pid = several._idle[0]._process.pid
    several.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def children(pid: int) -> Iterable[int]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        yield from map(int, (task / "children").read_text().split())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_no_reader_outlives_its_router(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path, router_config()) as router:
        replies = await talk(router.address, headers(), body({"inference_server": "sglang", "x": "a" * AT_ONCE}))
        assert replies[-1].request_body.response.header_mutation.set_headers
        [reader] = children(router.process.pid)
        router.process.send_signal(number)
        wait_for(lambda: not Path(f"/proc/{reader}").exists(), "the reader's end")


async def test_measures_come_back_from_a_reader_process(several: Readers) -> None:
    measured = Reads(
        READS.headers, READS.chosen, READS.compared, frozenset({(("x",), "characters"), (("x",), "items")})
    )
    long = PLAIN.replace(b'"x":"' + b"a" * 10, b'"x":["a' + b"a" * 9).replace(b'"}', b'"]}')
    found = await several.read(measured, BodyReader(measured), long)
    assert isinstance(found, Fields)
    assert found.sizes == {(("x",), "characters"): AT_ONCE, (("x",), "items"): 1}
    assert found.model == "m"
