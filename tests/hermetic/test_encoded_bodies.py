"""Compressed bodies in a real router: decoded here or in a reader process, counted, and never at others' expense."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import urllib.request
from collections.abc import AsyncIterator, Iterator
from typing import Any

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
    raw, held = RAW[name], list[int]()
    data, packing = encoded(raw, *applied), Packing(applied, 8 * MIB)
    fields = await several.read(READS, READER, memoryview(data), packing, held.append)
    assert fields == found(READER, data, packing)
    if isinstance(fields, Fields):
        assert fields.decoded is not None
        assert (bytes(fields.decoded), held) == (raw, [len(raw)])


@pytest.mark.parametrize("cut", [1, 100_000])
async def test_damage_is_refused_wherever_it_is_found(several: Readers, cut: int) -> None:
    for coding in KNOWN:
        data = encoded(SPARSE, coding)[:-cut]
        fields = await several.read(READS, READER, data, Packing((coding,), 8 * MIB))
        assert isinstance(fields, Reject)
        assert (fields.status, fields.code) == (400, "invalid_content_encoding")


@pytest.mark.parametrize("applied", [("gzip",), ("br",), ("gzip", "gzip"), ("zstd", "br")], ids="-".join)
async def test_a_bomb_is_refused_and_never_held_here(several: Readers, applied: tuple[str, ...]) -> None:
    held = list[int]()
    for limit in (100, MIB, 32 * MIB):
        fields = await several.read(READS, READER, encoded(BOMB, *applied), Packing(applied, limit), held.append)
        assert isinstance(fields, Reject)
        assert (fields.status, fields.code) == (413, "request_too_large")
        assert str(limit) in fields.message
    assert held == []


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


def inflight(router: RouterProcess) -> float:
    with urllib.request.urlopen(f"http://{router.status}/metrics", timeout=20) as answer:
        lines = answer.read().decode().splitlines()
    [value] = [line.split()[1] for line in lines if line.startswith("routegen_bytes_in_flight ")]
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
        most: Any = 0
        for _ in range(2000):
            most = max(most, await asyncio.to_thread(inflight, router))
            if most > 2 * len(raw):
                break
            await asyncio.sleep(0.01)
        assert most >= len(data) + 2 * len(raw)  # as it came, decoded, and the reply that waits to be taken
        assert pb.ProcessingResponse.FromString(await call.read()).request_body.response.body_mutation.body == raw
        assert await call.read() is grpc.aio.EOF
    for _ in range(2000):
        if not (left := await asyncio.to_thread(inflight, router)):
            break
        await asyncio.sleep(0.01)
    assert left == 0
