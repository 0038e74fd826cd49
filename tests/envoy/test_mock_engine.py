"""The mock engine is what other tests, the demo and the bench lean on, so it is held to what it claims."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import io
import itertools
import json
import sys
from collections.abc import AsyncIterator

import aiohttp
import openai
import pytest

from routegen.mock_engine import SGLANG, VLLM, Behaviour, Fault, MockEngine, Personality
from routegen.mock_engine.recorder import MAX_REQUESTS, Received, Recorder

QWEN = Behaviour(models=("qwen",))
HELLO = {"model": "qwen", "messages": [{"role": "user", "content": "hello there"}]}


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield session


async def events(response: aiohttp.ClientResponse) -> list[str]:
    """The data lines of a stream, in order."""
    text = await response.text()
    return [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]


@pytest.mark.parametrize("personality", [VLLM, SGLANG])
async def test_an_engine_reports_itself_as_the_owner_of_its_models(
    http: aiohttp.ClientSession, personality: Personality
) -> None:
    async with MockEngine(personality, Behaviour(models=("a", "b"))) as engine:
        listed = await (await http.get(f"{engine.url}/v1/models")).json()
    assert [(entry["id"], entry["owned_by"]) for entry in listed["data"]] == [
        ("a", personality.name),
        ("b", personality.name),
    ]


async def test_a_request_is_recorded_byte_for_byte_in_process_and_over_http(http: aiohttp.ClientSession) -> None:
    body = b' {"model" :"qwen","prompt":"caf\\u00e9 \xe4\xb8\xad", "unknown": [1e2]}\n'
    head = "POST /v1/completions?a=%2F HTTP/1.1\r\nhost: h\r\nX-Twice: 1\r\nx-tWICE: 2\r\nconnection: close\r\n"
    async with MockEngine(VLLM, QWEN) as engine:
        reader, writer = await asyncio.open_connection("127.0.0.1", engine.port)
        writer.write(head.encode() + f"content-length: {len(body)}\r\n\r\n".encode() + body)
        answer = await reader.read()
        writer.close()
        assert answer.startswith(b"HTTP/1.1 200 ")
        shown = (await (await http.get(f"{engine.url}/_received")).json())["requests"]
        [received] = engine.recorder.generations()
    assert (received.method, received.target, received.path) == (
        "POST",
        "/v1/completions?a=%2F",
        "/v1/completions",
    )
    assert received.body == body
    assert received.header("x-twice") == ("1", "2")
    assert ("x-tWICE", "2") in received.headers
    assert len(shown) == 1
    assert base64.b64decode(shown[0]["body"]["base64"]) == body
    assert shown[0]["body"]["sha256"] == hashlib.sha256(body).hexdigest()


async def test_a_compressed_body_is_not_decoded(http: aiohttp.ClientSession) -> None:
    """As vLLM and SGLang don't."""
    data = gzip.compress(json.dumps(HELLO).encode())
    async with MockEngine(VLLM, QWEN) as engine:
        url = f"{engine.url}/v1/chat/completions"
        response = await http.post(url, data=data, headers={"content-encoding": "gzip"})
    assert response.status == 400
    [received] = engine.recorder.generations()
    assert received.body == data


async def test_a_body_of_32_mib_is_recorded_and_shown_by_its_digest(http: aiohttp.ClientSession) -> None:
    body = json.dumps({"model": "qwen", "prompt": "x" * (32 * 1024 * 1024)}).encode()
    async with MockEngine(VLLM, QWEN) as engine:
        answer = await http.post(f"{engine.url}/v1/completions", data=io.BytesIO(body))
        assert answer.status == 200
        [shown] = (await (await http.get(f"{engine.url}/_received")).json())["requests"]
    assert shown["body"] == {"length": len(body), "sha256": hashlib.sha256(body).hexdigest(), "base64": None}


def test_the_recorder_forgets_the_oldest_requests_first() -> None:
    recorder = Recorder()
    for number in range(MAX_REQUESTS + 2):
        recorder.add(Received("POST", f"/{number}", "1.1", (), b""))
    assert recorder.total == MAX_REQUESTS + 2
    assert len(recorder.requests) == MAX_REQUESTS
    assert recorder.requests[0].target == "/2"


async def test_what_watches_an_engine_pushes_no_request_out_and_is_not_shown(http: aiohttp.ClientSession) -> None:
    async with MockEngine(VLLM, QWEN) as engine:
        await http.post(f"{engine.url}/v1/chat/completions", json=HELLO)
        for _ in range(3):
            await http.get(f"{engine.url}/metrics")
            await http.get(f"{engine.url}/health")
        shown = await (await http.get(f"{engine.url}/_received")).json()
        assert (shown["total"], [one["target"] for one in shown["requests"]]) == (1, ["/v1/chat/completions"])
        assert [one.path for one in engine.recorder.requests][:3] == ["/v1/chat/completions", "/metrics", "/health"]
    recorder = Recorder()
    recorder.add(Received("POST", "/first", "1.1", (), b""))
    for _ in range(MAX_REQUESTS + 1):
        recorder.add(Received("GET", "/metrics", "1.1", (), b""))
    assert recorder.requests[0].target == "/first"


@pytest.mark.parametrize(
    ("personality", "names"),
    [
        (VLLM, ["vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc"]),
        (SGLANG, ["sglang:num_running_reqs", "sglang:num_queue_reqs", "sglang:token_usage"]),
    ],
)
async def test_pickers_find_what_they_read_before_the_first_request(
    http: aiohttp.ClientSession, personality: Personality, names: list[str]
) -> None:
    """And while requests wait for a place: one runs, one waits."""

    async def values(engine: MockEngine) -> list[float]:
        lines = (await (await http.get(f"{engine.url}/metrics")).text()).splitlines()
        return [float(line.rsplit(" ", 1)[1]) for name in names for line in lines if line.startswith(f"{name}{{")]

    async with MockEngine(personality, Behaviour(models=("qwen",), ttft=30, slots=1)) as engine:
        assert await values(engine) == [0, 0, 0]
        sent = [
            asyncio.create_task(http.post(f"{engine.url}/v1/chat/completions", json=HELLO | {"n": n})) for n in (1, 2)
        ]
        async with asyncio.timeout(10):
            while await values(engine) != [1, 1, 0]:
                pass
        for task in sent:
            task.cancel()
        await asyncio.gather(*sent, return_exceptions=True)


async def test_the_openai_client_understands_every_kind_of_answer() -> None:
    async with MockEngine(SGLANG, QWEN) as engine:
        client = openai.AsyncOpenAI(base_url=f"{engine.url}/v1", api_key="unused", max_retries=0)
        chat = await client.chat.completions.create(model="qwen", messages=[{"role": "user", "content": "hi"}])
        completion = await client.completions.create(model="qwen", prompt="hi")
        embeddings = await client.embeddings.create(model="qwen", input=["a", "b"])
        response = await client.responses.create(model="qwen", input="hi")
        stream = await client.chat.completions.create(
            model="qwen",
            messages=[{"role": "user", "content": "hi"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
        deltas = await client.responses.create(model="qwen", input="hi", stream=True)
        kinds = [event.type async for event in deltas]
        await client.close()
    assert chat.choices[0].message.content is not None
    assert chat.choices[0].message.content.startswith("sglang/qwen: ")
    assert completion.choices[0].text.startswith("sglang/qwen: ")
    assert len(embeddings.data) == 2
    assert response.output_text.startswith("sglang/qwen: ")
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == chat.choices[0].message.content
    assert chunks[-1].usage == chat.usage
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"


async def test_a_stream_is_a_role_then_tokens_then_usage_if_asked_then_done(http: aiohttp.ClientSession) -> None:
    body = HELLO | {"stream": True, "max_tokens": 3, "stream_options": {"include_usage": True}}
    async with MockEngine(VLLM, QWEN) as engine:
        lines = await events(await http.post(f"{engine.url}/v1/chat/completions", json=body))
    *chunks, done = lines
    parsed = [json.loads(chunk) for chunk in chunks]
    assert done == "[DONE]"
    assert parsed[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [chunk["choices"][0]["finish_reason"] for chunk in parsed[1:4]] == [None, None, "length"]
    assert parsed[4]["choices"] == []
    assert parsed[4]["usage"]["completion_tokens"] == 3
    assert len(parsed) == 5


@pytest.mark.parametrize(
    ("limits", "tokens", "finish"),
    [
        ({}, 16, "stop"),
        ({"max_tokens": 5}, 5, "length"),
        ({"max_completion_tokens": 7}, 7, "length"),
        ({"max_tokens": 100}, 16, "stop"),
        ({"max_tokens": 100, "ignore_eos": True}, 100, "length"),
    ],
)
async def test_an_answer_is_as_long_as_the_request_says(
    http: aiohttp.ClientSession, limits: dict[str, object], tokens: int, finish: str
) -> None:
    async with MockEngine(VLLM, QWEN) as engine:
        answer = await (await http.post(f"{engine.url}/v1/chat/completions", json=HELLO | limits)).json()
    assert (answer["usage"]["completion_tokens"], answer["choices"][0]["finish_reason"]) == (tokens, finish)
    assert len(answer["choices"][0]["message"]["content"].split()) == tokens


async def test_a_repeated_prompt_counts_as_cached_block_by_block(http: aiohttp.ClientSession) -> None:
    def body(words: int) -> dict[str, str]:
        return {"model": "qwen", "prompt": " ".join(f"w{number}" for number in range(words))}

    async with MockEngine(VLLM, QWEN) as engine:
        cached = []
        for words in (40, 40, 100, 10):
            answer = await (await http.post(f"{engine.url}/v1/completions", json=body(words))).json()
            cached.append(answer["usage"]["prompt_tokens_details"]["cached_tokens"])
        engine.behaviour = Behaviour(models=("qwen",), report_cached_tokens=False)
        silent = await (await http.post(f"{engine.url}/v1/completions", json=body(40))).json()
    assert cached == [0, 32, 32, 0]
    assert silent["usage"]["prompt_tokens_details"] is None


async def test_vllm_refuses_a_model_it_does_not_serve_and_sglang_answers_with_its_own(
    http: aiohttp.ClientSession,
) -> None:
    async with MockEngine(VLLM, QWEN) as vllm, MockEngine(SGLANG, QWEN) as sglang:
        refused = await http.post(f"{vllm.url}/v1/chat/completions", json=HELLO | {"model": "other"})
        taken = await http.post(f"{sglang.url}/v1/chat/completions", json=HELLO | {"model": "other"})
        assert refused.status == 404
        assert (await refused.json())["error"]["code"] == 404
        assert (await taken.json())["model"] == "qwen"


async def test_a_glob_stands_for_models_that_are_served_but_not_listed(http: aiohttp.ClientSession) -> None:
    async with MockEngine(VLLM, Behaviour(models=("base", "base-*"))) as engine:
        listed = await (await http.get(f"{engine.url}/v1/models")).json()
        adapter = await http.post(f"{engine.url}/v1/chat/completions", json=HELLO | {"model": "base-lora"})
        assert [entry["id"] for entry in listed["data"]] == ["base"]
        assert (await adapter.json())["model"] == "base-lora"


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b"[" * 100_000])
async def test_a_body_that_is_no_json_object_is_the_engines_own_400(http: aiohttp.ClientSession, body: bytes) -> None:
    async with MockEngine(VLLM, QWEN) as engine:
        answer = await http.post(f"{engine.url}/v1/chat/completions", data=body)
        assert answer.status == 400


async def test_the_fault_status_answers_with_that_status(http: aiohttp.ClientSession) -> None:
    async with MockEngine(VLLM, Behaviour(models=("qwen",), fault=Fault.parse("status:429"))) as engine:
        answer = await http.post(f"{engine.url}/v1/chat/completions", json=HELLO)
        assert answer.status == 429


@pytest.mark.parametrize("stream", [True, False])
async def test_the_fault_reset_cuts_the_answer(http: aiohttp.ClientSession, stream: bool) -> None:
    async with MockEngine(VLLM, Behaviour(models=("qwen",), fault=Fault("reset"))) as engine:
        with pytest.raises(aiohttp.ClientError):
            await (await http.post(f"{engine.url}/v1/chat/completions", json=HELLO | {"stream": stream})).read()


async def test_the_fault_no_done_ends_a_stream_without_its_last_line(http: aiohttp.ClientSession) -> None:
    async with MockEngine(VLLM, Behaviour(models=("qwen",), fault=Fault("no-done"))) as engine:
        lines = await events(await http.post(f"{engine.url}/v1/chat/completions", json=HELLO | {"stream": True}))
    assert len(lines) == 17
    assert "[DONE]" not in lines


async def test_the_fault_hang_answers_nothing_and_does_not_hold_up_the_end() -> None:
    async with MockEngine(VLLM, Behaviour(models=("qwen",), fault=Fault("hang"))) as engine:
        timeout = aiohttp.ClientTimeout(total=0.2)
        async with aiohttp.ClientSession(timeout=timeout) as impatient:
            with pytest.raises(TimeoutError):
                await impatient.post(f"{engine.url}/v1/chat/completions", json=HELLO)


def test_an_unknown_fault_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown fault 'explode'; known: status, reset, no-done, hang, status:CODE"):
        Fault.parse("explode")


def test_deadlines_are_what_was_told_and_the_same_for_the_same_seed() -> None:
    told = Behaviour(ttft=0.5, tpot=0.01)
    assert list(told.deadlines(100.0, 0, 4)) == pytest.approx([100.5, 100.51, 100.52, 100.53])
    uneven = Behaviour(ttft=0.5, tpot=0.01, jitter=0.2, seed=7)
    first, second = (list(uneven.deadlines(0.0, 3, 2000)) for _ in range(2))
    assert first == second
    assert list(uneven.deadlines(0.0, 4, 2000)) != first
    gaps = [later - earlier for earlier, later in itertools.pairwise(first)]
    assert sum(gaps) / len(gaps) == pytest.approx(0.01, rel=0.02)
    assert min(gaps) >= 0


async def test_a_token_never_leaves_before_it_is_due(http: aiohttp.ClientSession) -> None:
    loop = asyncio.get_running_loop()
    async with MockEngine(VLLM, Behaviour(models=("qwen",), ttft=0.1, tpot=0.02)) as engine:
        start = loop.time()
        async with http.post(f"{engine.url}/v1/chat/completions", json=HELLO | {"stream": True}) as response:
            await response.content.readline()
            first = loop.time() - start
            await response.read()
            last = loop.time() - start
    assert first > 0.099
    assert last > 0.1 + 15 * 0.02 - 0.001


@pytest.mark.parametrize(
    ("personality", "names"),
    [
        (
            VLLM,
            ["vllm:request_success_total", "vllm:generation_tokens_total", "vllm:time_to_first_token_seconds_count"],
        ),
        (SGLANG, ["sglang:num_requests_total", "sglang:generation_tokens_total", "sglang:num_running_reqs"]),
    ],
)
async def test_metrics_bear_the_engines_own_names(
    http: aiohttp.ClientSession, personality: Personality, names: list[str]
) -> None:
    async with MockEngine(personality, QWEN) as engine:
        await http.post(f"{engine.url}/v1/chat/completions", json=HELLO)
        text = await (await http.get(f"{engine.url}/metrics")).text()
    values = {line.split("{")[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if "{" in line}
    for name in names:
        assert name in values
    assert values[names[1]] == 16


async def test_as_a_program_it_prints_its_address_and_ends_on_sigterm(http: aiohttp.ClientSession) -> None:
    command = [sys.executable, "-m", "routegen.mock_engine", "--personality", "sglang", "--port", "0", "--model", "m"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        owner, _, url = line.strip().partition(" at ")
        listed = await (await http.get(f"{url}/v1/models")).json()
        assert (owner, listed["data"][0]["id"]) == ("sglang", "m")
        process.terminate()
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
