"""Compressed bodies in a real router: decoded here or in a reader process, counted, and never at others' expense."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import urllib.request
from collections.abc import AsyncIterator, Iterator

import grpc
import pytest

from routegen_router import readers
from routegen_router._pb import extproc_pb2 as pb
from routegen_router.body import Fields
from routegen_router.codings import KNOWN
from routegen_router.readers import Readers
from routegen_router.reading import Packing, found
from routegen_router.refusals import Reject
from routegen_router.turns import LONG
from support.bodies import READER, READS
from support.encoded import encoded
from support.router import RouterProcess, body, headers, router_config, running, streaming, talk

MIB = 1 << 20
SMALL = b'{"model":"m","user":"u"}'
WORDY = b'{"model":"m","x":"' + b"word " * 100_000 + b'"}'
LONGER = b'{"model":"m","x":"' + b"word " * 1_000_000 + b'"}'
SPARSE = b'{"model":"m","x":"' + os.urandom(150_000).hex().encode() + b'"}'
CAREFUL = b'{"model":null,"x":"' + b"word " * 10_000 + b'"}'
RAW = {"small": SMALL, "wordy": WORDY, "longer": LONGER, "sparse": SPARSE, "careful": CAREFUL, "wrong": b"[]"}
BOMB = bytes(40 * MIB)


class Counting:
    """Room without an end that knows what was taken of it."""

    def __init__(self) -> None:
        self.held = self.most = 0

    async def grow(self, more: int) -> None:
        """Take some."""
        self.held += more
        self.most = max(self.most, self.held)

    def shrink(self, less: int) -> None:
        """Give some back."""
        self.held -= less


@pytest.fixture
async def several() -> AsyncIterator[Readers]:
    made = Readers()
    yield made
    made.close()


@pytest.mark.parametrize("applied", [("gzip",), ("deflate",), ("br",), ("zstd",), ("gzip", "zstd")], ids="-".join)
@pytest.mark.parametrize("name", RAW)
async def test_a_body_is_read_and_decoded_alike_wherever_that_happens(
    several: Readers, applied: tuple[str, ...], name: str
) -> None:
    raw, room = RAW[name], Counting()
    data, packing = encoded(raw, *applied), Packing(applied, 8 * MIB)
    fields = await several.read(READS, READER, memoryview(data), packing, room)
    assert fields == found(READER, data, packing)
    if isinstance(fields, Fields):
        assert fields.decoded is not None
        assert (bytes(fields.decoded), room.held) == (raw, len(raw))
        assert room.most <= 8 * MIB


@pytest.mark.parametrize("cut", [1, 100_000])
async def test_damage_is_refused_wherever_it_is_found(several: Readers, cut: int) -> None:
    for coding in KNOWN:
        data = encoded(SPARSE, coding)[:-cut]
        fields = await several.read(READS, READER, data, Packing((coding,), 8 * MIB))
        assert isinstance(fields, Reject)
        assert (fields.status, fields.code) == (400, "invalid_content_encoding")


@pytest.mark.parametrize("applied", [("gzip",), ("br",), ("gzip", "gzip"), ("zstd", "br")], ids="-".join)
async def test_a_bomb_is_refused_and_holds_no_more_than_it_may_have(several: Readers, applied: tuple[str, ...]) -> None:
    for limit in (100, MIB, 32 * MIB):
        room = Counting()
        fields = await several.read(READS, READER, encoded(BOMB, *applied), Packing(applied, limit), room)
        assert isinstance(fields, Reject)
        assert (fields.status, fields.code) == (413, "request_too_large")
        assert str(limit) in fields.message
        assert (room.held, room.most) == (0, limit)


async def test_what_turns_out_to_be_long_waits_for_the_turn_of_long_bodies(several: Readers) -> None:
    plain = b'{"model":"m","x":"' + b"a" * readers.AT_ONCE + b'"}'
    await asyncio.gather(*(several.read(READS, READER, plain) for _ in range(2)))
    next_one = several._idle[-1]._process.pid
    os.kill(next_one, signal.SIGSTOP)
    long = asyncio.create_task(several.read(READS, READER, b'{"x":"' + b"a" * LONG + b'"}'))
    await asyncio.sleep(0.05)
    bombs = [
        asyncio.create_task(several.read(READS, READER, encoded(BOMB, "zstd"), Packing(("zstd",), 8 * MIB)))
        for _ in range(5)
    ]
    await asyncio.sleep(0.3)
    assert isinstance(await several.read(READS, READER, plain), Fields)  # none of them holds the other reader
    assert not any(bomb.done() for bomb in bombs)
    os.kill(next_one, signal.SIGCONT)
    assert all(isinstance(refused, Reject) for refused in await asyncio.gather(*bombs))
    assert isinstance(await long, Fields)


async def test_a_decoded_body_that_is_given_up_leaves_the_reader_in_step(several: Readers) -> None:
    data, packing = encoded(LONGER, "gzip"), Packing(("gzip",), 8 * MIB)
    await several.read(READS, READER, data, packing)
    for pause in (0, 0.001, 0.003, 0.01, 0.03):
        work = asyncio.create_task(several.read(READS, READER, data, packing))
        await asyncio.sleep(pause)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        fields = await several.read(READS, READER, data, packing)
        assert isinstance(fields, Fields)
        assert fields.decoded is not None
        assert bytes(fields.decoded) == LONGER
    assert len(several._idle) == 1


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RouterProcess]:
    settings = router_config(max_body_bytes=8 * MIB, max_inflight_bytes=16 * MIB)
    with running(tmp_path_factory.mktemp("router"), settings) as started:
        yield started


def asked(data: bytes, coding: str) -> tuple[pb.ProcessingRequest, pb.ProcessingRequest]:
    return headers(more={"content-length": str(len(data)), "content-encoding": coding}), body(data)


@pytest.mark.parametrize("size", [10, 300_000, 7 * MIB])
async def test_the_gateway_gets_the_decoded_body_with_its_length_and_without_the_coding(
    router: RouterProcess, size: int
) -> None:
    raw = json.dumps({"inference_server": "sglang", "x": "a" * size}).encode()
    reply = (await talk(router.address, *asked(encoded(raw, "gzip", "zstd"), "gzip, zstd")))[-1].request_body.response
    set_headers = {one.header.key: one.header.raw_value for one in reply.header_mutation.set_headers}
    assert set_headers == {"x-inference-server": b"sglang", "content-length": str(len(raw)).encode()}
    assert list(reply.header_mutation.remove_headers) == ["content-encoding"]
    assert reply.body_mutation.body == raw
    assert reply.clear_route_cache


async def test_a_refused_body_is_not_sent_back(router: RouterProcess) -> None:
    [_, reply] = await talk(router.address, *asked(encoded(b'{"inference_server":"gold"}', "br"), "br"))
    assert reply.immediate_response.status.code == 400
    [_, reply] = await talk(router.address, *asked(encoded(BOMB, "zstd"), "zstd"))
    assert reply.immediate_response.status.code == 413


def metrics(router: RouterProcess) -> str:
    with urllib.request.urlopen(f"http://{router.status}/metrics", timeout=20) as answer:
        text: str = answer.read().decode()
    return text


def inflight(router: RouterProcess) -> float:
    [value] = [line.split()[1] for line in metrics(router).splitlines() if line.startswith("routegen_bytes_in_flight ")]
    return float(value)


async def test_a_new_body_is_counted_until_the_gateway_has_it(router: RouterProcess) -> None:
    raw = json.dumps({"inference_server": "sglang", "x": os.urandom(3 * MIB).hex()}).encode()
    data = encoded(raw, "gzip")
    request = asked(data, "gzip")
    async with streaming(router.address) as open_stream:
        call: grpc.aio.StreamStreamCall[bytes, bytes] = open_stream()
        await call.write(request[0].SerializeToString())
        await call.read()
        await call.write(request[1].SerializeToString())
        for _ in range(2000):
            now = await asyncio.to_thread(inflight, router)
            if 0 <= now - len(raw) < 1024:  # the reply that waits to be taken, and nothing of what it was made of
                break
            await asyncio.sleep(0.01)
        else:
            pytest.fail(f"{now} bytes are counted of a reply of {len(raw)}")
        assert pb.ProcessingResponse.FromString(await call.read()).request_body.response.body_mutation.body == raw
        assert await call.read() is grpc.aio.EOF
    for _ in range(2000):
        if not (left := await asyncio.to_thread(inflight, router)):
            break
        await asyncio.sleep(0.01)
    assert left == 0


async def test_what_no_gateway_takes_holds_no_more_than_the_bound_and_one_body(router: RouterProcess) -> None:
    """Each is of some kilobytes, so all are let in at once; decoded and as replies they would be 168 MiB."""
    raw = json.dumps({"inference_server": "sglang", "x": "a" * (7 * MIB)}).encode()
    request = asked(encoded(raw, "gzip"), "gzip")
    most = 0.0
    async with streaming(router.address, ("grpc.http2.bdp_probe", 0)) as open_stream:
        calls: list[grpc.aio.StreamStreamCall[bytes, bytes]] = [open_stream() for _ in range(12)]
        for call in calls:
            await call.write(request[0].SerializeToString())
        for call in calls:
            await call.read()
            await call.write(request[1].SerializeToString())
        for _ in range(500):
            most = max(most, await asyncio.to_thread(inflight, router))
            if await asyncio.to_thread(overloaded, router):
                break
            await asyncio.sleep(0.02)
        replies = [pb.ProcessingResponse.FromString(await call.read()) for call in calls]
    assert 14 * MIB <= most <= (18 + 8) * MIB
    taken = [reply for reply in replies if reply.HasField("request_body")]
    refused = [reply.immediate_response.status.code for reply in replies if reply.HasField("immediate_response")]
    assert all(reply.request_body.response.body_mutation.body == raw for reply in taken)
    assert refused == [503] * (len(calls) - len(taken))
    assert 2 <= len(taken) < len(calls)


def overloaded(router: RouterProcess) -> bool:
    return 'code="router_overloaded"' in metrics(router)
