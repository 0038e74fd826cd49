"""Bodies that aren't JSON in a real router: forms are read where they are, and what nobody asks for needn't be read."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator

import pytest

from routegen_router import forms, reading
from routegen_router._pb import extproc_pb2 as pb
from routegen_router.body import BodyReader, Fields, Unread
from routegen_router.config import Reads
from routegen_router.messages import Answer, Body, Headers, Routed
from routegen_router.policy import Policy
from routegen_router.readers import Readers
from routegen_router.reading import packing
from routegen_router.refusals import Reject
from routegen_router.request import Measure, Source
from routegen_router.rules import Lookup, Rule, Split
from routegen_router.stream import Stream
from routegen_router.when import Condition
from support.encoded import encoded
from support.multipart import FORM, field, file, form, part
from support.policy import BACKENDS, PATH, config, view
from support.router import RouterProcess, body, headers, router_config, running, talk
from support.streams import code

MIB = 1 << 20
READS = Reads(
    frozenset(),
    frozenset({("model",), ("metadata", "engine")}),
    frozenset({("stream",)}),
    frozenset({(("prompt",), "characters"), (("prompt",), "present"), (("x",), "items")}),
)
READER = BodyReader(READS)
SOUND = random.Random(3).randbytes(2 * MIB)
FORMS = {
    "short": form(field("model", "m"), field("stream", "true"), file(b"abc")),
    "long": form(file(SOUND), field("model", "m"), field("prompt", "äb"), field("x", "y")),
    "twice": form(field("model", "m"), file(SOUND), field("model", "m")),
    "no end": form(field("model", "m"), file(SOUND))[:-100],
    "no form": b"{}",
}


@pytest.fixture
async def several() -> AsyncIterator[Readers]:
    made = Readers()
    yield made
    made.close()


@pytest.mark.parametrize("applied", [(), ("gzip",), ("gzip", "zstd")], ids=len)
@pytest.mark.parametrize("name", FORMS)
async def test_a_form_is_read_alike_here_and_in_a_reader_process(
    several: Readers, name: str, applied: tuple[str, ...]
) -> None:
    data, packed = encoded(FORMS[name], *applied), packing(FORM, applied, 8 * MIB)
    fields = await several.read(READS, READER, memoryview(data), packed)
    assert fields == reading.found(READER, data, packed)
    match name:
        case "twice":
            assert isinstance(fields, Reject)
            assert fields.code == "duplicate_field"
        case "no end" | "no form":
            assert isinstance(fields, Fields)
            assert isinstance(fields.values, Unread)
            assert fields.values.reject.code == "invalid_form"
        case _:
            assert isinstance(fields, Fields)
            assert fields.model == "m"


async def test_values_and_measures_of_a_form(several: Readers) -> None:
    short, long = [await several.read(READS, READER, FORMS[name], packing(FORM, (), 0)) for name in ("short", "long")]
    assert short == Fields("m", {("model",): "m", ("stream",): "true"})
    measured: dict[Measure, int] = {(("prompt",), "characters"): 2, (("prompt",), "present"): 1}
    assert long == Fields("m", {("model",): "m"}, measured)


async def test_a_long_form_holds_up_nobody_and_needs_no_reader_process(several: Readers) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    await several.read(READS, READER, FORMS["long"], packing(FORM, (), 0))
    beside.cancel()
    assert turns >= len(FORMS["long"]) // forms.SLICE
    assert not several._idle


@pytest.mark.parametrize("type_", ["audio/wav", "application/octet-stream", "image/png; x=y", "multipart/mixed"])
async def test_what_is_not_said_to_be_json_may_be_anything(several: Readers, type_: str) -> None:
    packed = packing(type_, (), 0)
    for raw in (SOUND, SOUND[:100], b"[]", b"{"):
        fields = await several.read(READS, READER, raw, packed)
        assert fields == reading.found(READER, raw, packed)
        assert isinstance(fields, Fields)
        assert isinstance(fields.values, Unread)
    fields = await several.read(READS, READER, b'{"model":"m"}', packed)
    assert fields == Fields("m", {("model",): "m"})


@pytest.mark.parametrize("type_", ["", "application/json", "Application/JSON; charset=utf-8", "text/plain", "a/b+json"])
async def test_what_is_said_to_be_json_must_be(several: Readers, type_: str) -> None:
    for raw in (SOUND, b"[]", b"{"):
        assert isinstance(await several.read(READS, READER, raw, packing(type_, (), 0)), Reject)


HEADER = Lookup(name="header", source=Source(header="x-engine"))
BY_BODY = Lookup(name="body", source=Source(body=("inference_server",)))
SPLIT = Split(name="split", weights=(("sglang", 1), ("vllm", 1)))
STICKY = Split(name="sticky", weights=(("sglang", 1), ("vllm", 1)), sticky_by=Source(body=("user",)))


def on(test: Condition) -> Split:
    return Split(name="when", weights=(("trtllm", 1),), when=(test,))


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([HEADER, BY_BODY], "sglang"),
        ([SPLIT], "sglang"),
        ([on(Condition(attribute="path", pattern="/other")), HEADER], "sglang"),
        ([on(Condition(source=Source(header="x-engine"), pattern="x")), SPLIT, BY_BODY], "sglang"),
        ([BY_BODY, HEADER], "invalid_form"),
        ([STICKY], "invalid_form"),
        ([on(Condition(attribute="model", pattern="x")), HEADER], "invalid_form"),
        ([on(Condition(source=Source(body=("user",)), pattern="x")), HEADER], "invalid_form"),
        ([on(Condition(source=Source(body=("user",)), present=False)), HEADER], "invalid_form"),
    ],
)
def test_a_body_that_can_not_be_read_is_refused_where_a_rule_asks_for_it(rules: list[Rule], expected: str) -> None:
    given = config(BACKENDS, rules)
    stream = Stream(Policy(given), lambda: view(given), lambda: 0.0)
    stream.on_headers(
        Headers(
            ((":method", "POST"), (":path", PATH), ("content-type", FORM), ("x-engine", "sglang")), end_of_stream=False
        )
    )
    reply = stream.on_body(Body(b"no form", end_of_stream=True))
    assert (reply.backend if isinstance(reply, Routed) else code(reply)[1]) == expected
    assert isinstance(reply, Answer) or reply.change is None


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RouterProcess]:
    settings = router_config(max_body_bytes=8 * MIB, max_inflight_bytes=16 * MIB)
    with running(tmp_path_factory.mktemp("router"), settings) as started:
        yield started


async def test_a_form_decides_and_goes_on_as_it_is(router: RouterProcess) -> None:
    data = form(file(SOUND), part('name="inference_server"', b"sglang"))
    asked = headers(more={"content-length": str(len(data)), "content-type": FORM})
    reply = (await talk(router.address, asked, body(data)))[-1].request_body.response
    assert [one.header.raw_value for one in reply.header_mutation.set_headers] == [b"sglang"]
    assert not reply.HasField("body_mutation")
    [_, refused] = await talk(router.address, asked, body(data[:-20]))
    assert json.loads(refused.immediate_response.body)["error"]["code"] == "invalid_form"
    assert isinstance(refused, pb.ProcessingResponse)
