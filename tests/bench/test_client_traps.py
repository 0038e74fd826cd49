"""What load generators are known to get wrong, each held against a real HTTP server."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import msgspec
import pytest

from routegen.bench import records
from routegen.bench.client import Client, Job, body
from routegen.bench.design import Arm, Design, Load, Run, Slo
from routegen.bench.measure import measure
from routegen.bench.metrics import BY_KEY, Cell
from routegen.bench.prompts import prompt
from routegen.bench.records import WARMUP, Clock, Request
from support.bench_runs import DESIGN, make_run
from support.bench_server import CHUNKED, DONE, OPENING, Exchange, Server, answer_well, chunk, event, gather, usage

PATIENT = msgspec.structs.replace(DESIGN, timeout=20.0, ignore_eos=False)


def arm_at(url: str) -> Arm:
    return Arm(name="a", engine="a", url=url, model="m", via="direct")


async def ask(url: str, design: Design = PATIENT, arm: Arm | None = None, text: str = "hello") -> Request:
    arm = arm or arm_at(url)
    clock = Clock("2026-01-01T00:00:00+00:00")
    async with Client(arm, design, clock, 0, {}) as client:
        return await client.send(Job(0, 0, body(arm, design, text)), clock.now())


def metric(key: str, request: Request) -> list[float]:
    return BY_KEY[key].values(Cell("a", 0, (request,), Slo()))


def a_run(folder: Path, url: str, design: Design) -> Run:
    run = make_run("a", design=design)
    run = msgspec.structs.replace(run, arms=(arm_at(url),))
    records.create(folder, run)
    return run


# --- the client's own queues ---


async def test_an_open_loop_sends_when_due_however_many_are_unanswered(tmp_path: Path) -> None:
    """A semaphore or a pool in the client would never let all of them in, and nobody would be answered."""
    design = msgspec.structs.replace(PATIENT, requests=150, blocks=1, warmup=1, load=Load(kind="poisson", rate=1000))
    async with Server(answer_well) as warm_first:
        a_run(tmp_path, warm_first.url, design)
        script = gather(150)

        async def after_warmup(exchange: Exchange) -> None:
            await (answer_well if len(warm_first.bodies) == 1 else script)(exchange)

        warm_first.script = after_warmup
        await measure(tmp_path, lambda _: None)
    requests = list(records.read(tmp_path).measured())
    assert [request.error for request in requests] == [None] * 150
    assert warm_first.most_in_flight == 150


async def test_a_closed_loop_is_not_limited_to_a_hundred_connections(tmp_path: Path) -> None:
    load = Load(kind="closed", concurrency=150)
    design = msgspec.structs.replace(PATIENT, requests=150, blocks=1, warmup=150, load=load)
    async with Server(gather(150)) as server:
        a_run(tmp_path, server.url, design)
        await measure(tmp_path, lambda _: None)
    assert server.most_in_flight == 150
    assert len(list(records.read(tmp_path).measured())) == 150


def test_waiting_in_the_client_is_counted_from_the_due_time() -> None:
    late = Request(session=0, block=0, arm="a", prompt=0, scheduled=1.0, sent=2.5, first=0.5, chunks=(0.5,), end=0.5)
    assert metric("e2e", late) == [0.5]
    assert metric("wait", late) == [1.5]
    assert metric("e2e_scheduled", late) == [2.0]


async def test_the_warmup_has_the_measured_concurrency_and_prompts_of_its_own(tmp_path: Path) -> None:
    design = msgspec.structs.replace(PATIENT, requests=8, blocks=2, warmup=8, load=Load(kind="closed", concurrency=8))
    async with Server(gather(8)) as server:
        a_run(tmp_path, server.url, design)
        await measure(tmp_path, lambda _: None)
    asked = [received["messages"][0]["content"] for received in server.bodies]
    assert len(set(asked)) == len(asked) == 24, "no prompt is sent twice"
    warm = [request for request in records.read(tmp_path).requests if request.block == WARMUP]
    assert len(warm) == 8
    assert max(request.sent for request in warm) < min(request.sent + (request.first or 0) for request in warm)


# --- long things ---


async def test_a_prompt_of_fifty_thousand_tokens_is_sent_whole() -> None:
    text = prompt(seed=1, tokens=50_000, cache="cold", block=0, number=0)
    async with Server(answer_well) as server:
        request = await ask(server.url, text=text)
    assert request.error is None
    assert server.bodies[0]["messages"][0]["content"] == text


async def test_a_line_longer_than_any_read_buffer_is_one_chunk() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.write(OPENING, event("x" * 3_000_000, finish_reason="stop"), usage(1), DONE)

    async with Server(script) as server:
        request = await ask(server.url)
    assert request.error is None
    assert len(request.chunks) == 1


async def test_an_answer_of_many_megabytes_flows_to_its_end() -> None:
    async def script(exchange: Exchange) -> None:
        exchange.writer.write(OPENING)
        for _ in range(20_000):
            exchange.writer.write(event("word " * 100))
            await exchange.writer.drain()
        await exchange.write(event("", finish_reason="length"), usage(20_000), DONE)

    async with Server(script) as server:
        request = await ask(server.url)
    assert (request.error, len(request.chunks)) == (None, 20_000)


# --- what a stream may look like ---


async def test_events_that_come_in_one_read_and_events_cut_in_two_are_counted_alike() -> None:
    joined = event("a") + event("b") + event("c")
    cut = event("d", finish_reason="length")

    async def script(exchange: Exchange) -> None:
        await exchange.write(OPENING, joined, cut[:30], cut[30:-1], cut[-1:], usage(8), DONE)

    async with Server(script) as server:
        request = await ask(server.url)
    assert len(request.chunks) == 4
    assert request.chunks[0] == request.chunks[2], "one read, one time"
    assert metric("tpot", request) == [pytest.approx((request.chunks[-1] - request.chunks[0]) / 7)], (
        "per token of usage, not per chunk"
    )


async def test_the_first_token_is_the_first_text_not_the_role() -> None:
    role = b'data: {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}\n\n'

    async def script(exchange: Exchange) -> None:
        await exchange.write(OPENING, b": keep-alive\n\n", role)
        await exchange.write(event("a", finish_reason="stop"), usage(1), DONE)

    async with Server(script) as server:
        request = await ask(server.url)
    assert len(request.chunks) == 1, "neither the comment nor the role is text"
    assert request.first == request.chunks[0]
    assert request.headers is not None
    assert request.headers < request.chunks[0]


async def test_reasoning_is_the_first_token_but_not_the_first_content() -> None:
    thought = b'data: {"choices": [{"delta": {"reasoning_content": "hm"}}]}\r\n\r\n'

    async def script(exchange: Exchange) -> None:
        await exchange.write(OPENING, thought, event("a", finish_reason="stop"), usage(2), DONE)

    async with Server(script) as server:
        request = await ask(server.url)
    assert (request.first, request.first_content) == request.chunks


async def test_a_stream_without_done_that_has_a_finish_reason_is_complete() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.write(OPENING, event("a", finish_reason="stop"), usage(1))

    async with Server(script) as server:
        request = await ask(server.url)
    assert request.error is None
    assert request.done_marker is False


async def test_a_last_event_without_its_blank_line_is_still_read() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.write(OPENING, event("a", finish_reason="stop"), usage(1), b"data: [DONE]")

    async with Server(script) as server:
        request = await ask(server.url)
    assert request.done_marker is True


# --- how an answer may fail ---


async def test_a_reset_in_the_middle_is_a_failure_without_latencies() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.write(CHUNKED, chunk(event("a")), chunk(event("b")))
        exchange.reset()

    async with Server(script) as server:
        request = await ask(server.url)
    assert request.error == "reset"
    assert len(request.chunks) == 2
    assert metric("e2e", request) == []
    assert metric("errors", request) == [1.0]


async def test_a_stream_that_just_ends_is_truncated() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.write(OPENING, event("a"), event("b"))

    async with Server(script) as server:
        request = await ask(server.url)
    assert request.error == "truncated"


async def test_a_refusal_keeps_its_status_and_code_but_none_of_its_text() -> None:
    refusal = b'{"error": {"message": "your prompt was: secret", "code": "unknown_inference_server"}}'

    async def script(exchange: Exchange) -> None:
        await exchange.write(
            b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(refusal),
            refusal,
        )

    async with Server(script) as server:
        request = await ask(server.url)
    assert (request.status, request.error, request.detail) == (400, "status", "HTTP 400 unknown_inference_server")


@pytest.mark.parametrize(
    ("pieces", "error"),
    [
        ((OPENING, event("a"), b'data: {"error": {"message": "out of memory"}}\n\n', DONE), "engine"),
        ((OPENING, event("a"), b"data: {not json\n\n", DONE), "invalid"),
        ((OPENING, usage(1), DONE), "truncated"),
        ((OPENING, event("", finish_reason="stop"), usage(1), DONE), "invalid"),
        ((OPENING, event("a"), event("b"), usage(2), DONE), "truncated"),
        ((OPENING, event("a"), event("b", finish_reason="abort"), usage(2), DONE), "unfinished"),
        ((OPENING, event("a", finish_reason="abort"), event("b", finish_reason="stop"), DONE), "unfinished"),
        ((OPENING, event("a"), event("b", finish_reason="content_filter"), usage(2), DONE), "unfinished"),
        ((OPENING, event("a", finish_reason="stop"), b'event: error\ndata: {"message": "no"}\n\n', DONE), "engine"),
        ((OPENING, event("a", finish_reason="stop"), b"event: error\n\n", DONE), "engine"),
        ((OPENING, event("a", finish_reason="stop"), b'data: {"object": "error", "code": 500}\n\n', DONE), "engine"),
        ((OPENING, event("a", error={"code": 1}, finish_reason="stop"), DONE), "engine"),
        ((OPENING, event("a", finish_reason="stop"), b'data: {"detail": "too long"}\n\n', DONE), "invalid"),
        ((b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}",), "invalid"),
        ((b"SMTP?\r\n\r\n",), "reset"),
    ],
    ids=[
        "an error object",
        "broken JSON",
        "usage alone",
        "no text at all",
        "no finish_reason",
        "aborted",
        "aborted first",
        "filtered",
        "an error event",
        "a bare error event",
        "vLLM's old error",
        "a choice's error",
        "another document",
        "no stream",
        "no HTTP",
    ],
)
async def test_an_answer_that_is_none_is_a_failure(pieces: tuple[bytes, ...], error: str) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.write(*pieces)

    async with Server(script) as server:
        request = await ask(server.url)
    assert request.error == error


@pytest.mark.parametrize(
    ("last", "counted", "error"),
    [
        ("length", 8, None),
        ("stop", 8, None),
        ("length", 9, None),
        ("length", 2, "short"),
        ("stop", 2, "short"),
        ("length", None, None),
        ("stop", None, "short"),
    ],
)
async def test_fewer_tokens_than_asked_for_are_a_failure_where_the_length_is_fixed(
    last: str, counted: int | None, error: str | None
) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.write(OPENING, event("a"), event("b", finish_reason=last))
        await exchange.write(*([] if counted is None else [usage(counted)]), DONE)

    async with Server(script) as server:
        fixed = await ask(server.url, msgspec.structs.replace(PATIENT, ignore_eos=True, output_tokens=8))
        free = await ask(server.url, msgspec.structs.replace(PATIENT, ignore_eos=False, output_tokens=8))
    assert (fixed.error, free.error) == (error, None)


@pytest.mark.parametrize(
    ("delta", "last"),
    [
        ({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "{}"}}]}, "tool_calls"),
        ({"function_call": {"name": "f", "arguments": "{}"}}, "function_call"),
        ({"refusal": "I can't help with that"}, "stop"),
    ],
    ids=["tool call", "function call", "refusal"],
)
async def test_a_tool_call_or_a_refusal_is_an_answer(delta: dict[str, object], last: str) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.write(OPENING, event(delta=delta), event(delta={}, finish_reason=last), usage(1), DONE)

    async with Server(script) as server:
        request = await ask(server.url)
    assert (request.error, len(request.chunks), request.first_content) == (None, 1, request.first)


async def test_events_of_another_type_are_no_part_of_the_answer() -> None:
    ping = b'event: ping\ndata: {"type": "ping"}\n\n'

    async def script(exchange: Exchange) -> None:
        await exchange.write(OPENING, ping, event("a"), ping, event("b", finish_reason="stop"), usage(2), DONE)

    async with Server(script) as server:
        request = await ask(server.url)
    assert (request.error, len(request.chunks), request.characters) == (None, 2, 2)


@pytest.mark.parametrize(("text", "repeated"), [("!", True), ("ha ha ", True), ("one two three four five ", False)])
async def test_an_answer_that_only_repeats_itself_is_known(text: str, repeated: bool) -> None:
    async def script(exchange: Exchange) -> None:
        words = [event(text) for _ in range(119)]
        await exchange.write(OPENING, event("Well then: "), b"".join(words), event(text, finish_reason="stop"), DONE)

    async with Server(script) as server:
        request = await ask(server.url)
    assert (request.error, request.repeats) == (None, repeated)


async def test_an_error_that_is_null_is_none() -> None:
    async def script(exchange: Exchange) -> None:
        fine = event("a", finish_reason="stop").replace(b'{"choices"', b'{"error": null, "choices"')
        await exchange.write(OPENING, fine, usage(1), DONE)

    async with Server(script) as server:
        request = await ask(server.url)
    assert request.error is None


async def test_an_answer_without_an_end_is_given_up_at_the_timeout() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.write(OPENING, event("a"))
        await asyncio.sleep(30)

    async with Server(script) as server:
        request = await ask(server.url, msgspec.structs.replace(DESIGN, timeout=0.2))
    assert (request.error, len(request.chunks)) == ("timeout", 1)


async def test_a_closed_port_is_a_failure_to_connect() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    request = await ask(f"http://127.0.0.1:{port}")
    assert request.error == "connect"


async def test_an_answer_from_another_backend_than_asked_for_is_a_failure() -> None:
    async def script(exchange: Exchange) -> None:
        named = OPENING.replace(b"connection:", b"x-inference-server: sglang\r\nconnection:")
        await exchange.write(named, event("a", finish_reason="stop"), usage(1), DONE)

    async with Server(script) as server:
        for asked, error in (("vllm", "wrong_engine"), ("sglang", None)):
            arm = Arm(
                name=asked,
                engine=asked,
                url=server.url,
                model="m",
                via="gateway",
                inference_server=asked,
                routing_header="x-inference-server",
            )
            request = await ask(server.url, arm=arm)
            assert (request.backend, request.error) == ("sglang", error)
            assert server.bodies[-1]["inference_server"] == asked
