"""Prompts of one's own: what is read, what is refused, and what is sent."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from routegen.bench import jobs, records
from routegen.bench.design import Load, Run
from routegen.bench.measure import measure
from routegen.bench.workload import Conversation, read
from routegen.cli import cli
from routegen.common.problems import UserError
from support.bench_runs import DESIGN, make_run
from support.bench_server import DONE, OPENING, Exchange, Server, event, usage

SHAREGPT = [
    {"id": "x", "conversations": [{"from": "human", "value": "one"}, {"from": "gpt", "value": "1"}]},
    {
        "id": "y",
        "conversations": [
            {"from": "system", "value": "be short"},
            {"from": "human", "value": "two"},
            {"from": "gpt", "value": "2"},
            {"from": "human", "value": "three"},
        ],
    },
    {"id": "z", "conversations": [{"from": "gpt", "value": "nobody asked"}]},
]


def write(folder: Path, *lines: Any) -> Path:
    path = folder / "prompts.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines) + "\n")
    return path


def test_lines_are_requests_with_lengths_and_times(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "hi"}]
    path = write(tmp_path, {"prompt": "hello", "max_tokens": 5, "at": 0}, {"messages": messages, "at": 1.5})
    told, found = read(path)
    assert found == (Conversation(("hello",), 5, 0), Conversation((messages,), None, 1.5))
    assert (told.conversations, told.turns, told.timed, told.chat) == (2, 1, True, True)


def test_a_sharegpt_file_is_conversations_of_human_turns(tmp_path: Path) -> None:
    path = tmp_path / "sharegpt.json"
    path.write_text(json.dumps(SHAREGPT, indent=1))
    told, found = read(path)
    assert (told.conversations, told.turns) == (2, 2), "one has no human turn"
    system, two = {"role": "system", "content": "be short"}, {"role": "user", "content": "two"}
    answer = {"role": "assistant", "content": "2"}
    assert found[1].turns == ([system, two], [system, two, answer, {"role": "user", "content": "three"}])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no prompts"),
        ('{"prompt": "a"}\n{"prompt"', r"prompts.jsonl:2: not JSON"),
        ('{"text": "a"}', r'prompts.jsonl:1: needs a "prompt"'),
        ('{"prompt": "a", "max_tokens": 0}', "max_tokens must be a whole number above 0"),
        ('{"prompt": "a", "at": "soon"}', "at must be a number of seconds"),
        ('{"prompt": "a", "at": 2}\n{"prompt": "b", "at": 1}', "go backwards"),
        ('[{"prompt": "a"}, 5]', r"prompts.jsonl: entry 2: not an object"),
        ('{"conversations": [{"from": "human"}]}', 'a turn needs "from" and "value"'),
    ],
)
def test_what_is_no_prompt_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        read(path)


def made(path: Path, **design: object) -> tuple[Run, tuple[Conversation, ...]]:
    told, own = read(path)
    return make_run("a", "b", design=msgspec.structs.replace(DESIGN, workload=told, **design)), own


def bodies(run: Run, own: tuple[Conversation, ...], arm: str, block: int) -> list[list[dict[str, Any]]]:
    groups = jobs.make(run, arm, block, session=0, key=b"", own=own)
    return [[json.loads(job.body) for job in group] for group in groups]


def test_every_block_has_the_next_prompts_and_every_arm_the_same(tmp_path: Path) -> None:
    run, own = made(write(tmp_path, *({"prompt": f"p{n}"} for n in range(10))), requests=2, blocks=4, cache="as-is")
    sent = [[group[0]["messages"][0]["content"] for group in bodies(run, own, "a", block)] for block in range(4)]
    assert sent == [["p0", "p1"], ["p2", "p3"], ["p4", "p5"], ["p6", "p7"]]
    assert bodies(run, own, "a", 1)[0][0]["messages"] == bodies(run, own, "b", 1)[0][0]["messages"]
    assert [group[0]["messages"][0]["content"] for group in bodies(run, own, "a", records.WARMUP)][:2] == ["p8", "p9"]


def test_a_cold_prompt_begins_with_words_of_its_own_all_through_its_conversation(tmp_path: Path) -> None:
    path = tmp_path / "sharegpt.json"
    path.write_text(json.dumps(SHAREGPT))
    run, own = made(path, requests=2, cache="cold")
    for arm in "ab":
        first, second = bodies(run, own, arm, 0)[1]
        assert first["messages"][0]["content"].endswith("\n\nbe short")
        assert second["messages"][0] == first["messages"][0], "the second turn may find the first in the cache"
    assert bodies(run, own, "a", 0)[1][0]["messages"][0] != bodies(run, own, "b", 0)[1][0]["messages"][0]


def test_a_shared_prefix_is_an_arms_own_and_the_same_in_all_its_prompts() -> None:
    run = make_run("a", "b", design=msgspec.structs.replace(DESIGN, shared_prefix=50, input_tokens=20))
    texts = {
        arm: [group[0]["messages"][0]["content"].split() for block in (0, 1) for group in bodies(run, (), arm, block)]
        for arm in "ab"
    }
    beginnings = {arm: {" ".join(words[:67]) for words in found} for arm, found in texts.items()}
    assert [len(found) for found in beginnings.values()] == [1, 1]
    assert beginnings["a"] != beginnings["b"]
    assert len({" ".join(words[67:]) for words in texts["a"]}) == len(texts["a"])


async def measured(folder: Path, path: Path, server: Server, **design: object) -> records.Recorded:
    run, _ = made(path, **design)
    arms = (msgspec.structs.replace(run.arms[0], url=server.url),)
    now = datetime.now(UTC).isoformat()
    run = msgspec.structs.replace(run, arms=arms, slots=(("a",),), comparisons=(), started_at=now)
    records.create(folder / "run", run)
    await measure(folder / "run", lambda _: None)
    return records.read(folder / "run")


async def as_asked(exchange: Exchange) -> None:
    count = exchange.body["max_tokens"]
    words = [event("word ") for _ in range(count - 1)]
    await exchange.write(OPENING, b"".join([*words, event("end", finish_reason="length")]), usage(count), DONE)


async def test_each_answer_has_the_length_that_its_line_says(tmp_path: Path) -> None:
    path = write(tmp_path, {"prompt": "a", "max_tokens": 3}, {"prompt": "b"})
    async with Server(as_asked) as server:
        found = await measured(tmp_path, path, server, requests=2, blocks=1, warmup=4, output_tokens=7)
    assert sorted(request.completion_tokens or 0 for request in found.measured()) == [3, 7]
    assert {request.error for request in found.measured()} == {None}


async def test_a_turn_is_sent_when_the_one_before_it_is_answered(tmp_path: Path) -> None:
    path = tmp_path / "sharegpt.json"
    path.write_text(json.dumps(SHAREGPT))
    load = Load(kind="closed", concurrency=2)
    async with Server(as_asked) as server:
        found = await measured(tmp_path, path, server, requests=2, blocks=2, warmup=2, output_tokens=4, load=load)
    requests = [request for request in found.measured() if request.block == 1]
    assert len(requests) == 3
    second, third = (next(one for one in requests if one.prompt == number) for number in (1, 2))
    assert third.sent >= second.sent + (second.end or 0)


async def test_a_trace_says_when_requests_are_due(tmp_path: Path) -> None:
    times = [0, 0.01, 0.05, 7.0, 7.02, 7.03, 9, 9, 9]
    path = write(tmp_path, *({"prompt": f"p{n}", "at": at} for n, at in enumerate(times)))
    async with Server(as_asked) as server:
        found = await measured(
            tmp_path, path, server, requests=3, blocks=2, warmup=3, output_tokens=2, load=Load(kind="trace")
        )
    for block, expected in ((0, [0, 0.01, 0.05]), (1, [0, 0.02, 0.03])):
        due = sorted(request.scheduled for request in found.measured() if request.block == block)
        assert [at - due[0] for at in due] == pytest.approx(expected, abs=1e-5)


async def test_a_file_that_has_changed_is_not_gone_on_with(tmp_path: Path) -> None:
    path = write(tmp_path, {"prompt": "a"})
    async with Server(as_asked) as server:
        await measured(tmp_path, path, server, requests=1, blocks=1, warmup=4)
        write(tmp_path, {"prompt": "b"})
        run = records.read(tmp_path / "run").run
        records.rewrite(
            tmp_path / "run", msgspec.structs.replace(run, design=msgspec.structs.replace(run.design, blocks=2))
        )
        with pytest.raises(UserError, match="is not the file that the run began with"):
            await measure(tmp_path / "run", lambda _: None)


@pytest.mark.parametrize(
    ("lines", "arguments", "message"),
    [
        ([{"prompt": "a"}], ["--arrivals", "trace"], 'every line has "at"'),
        ([{"prompt": "a", "at": 0}], ["--arrivals", "trace", "--rate", "5"], "--arrivals trace excludes --rate"),
        ([{"prompt": "a", "at": 0}], ["--arrivals", "trace"], "--arrivals trace needs 704 prompts, each sent once"),
        ([{"prompt": "a"}], ["--cache", "as-is"], "--cache as-is needs 704 prompts, each sent once"),
        ([{"prompt": "a"}], ["--shared-prefix", "9"], "--shared-prefix is for made-up prompts"),
        (SHAREGPT, ["--rate", "5"], "conversations of several turns need a closed loop"),
        (SHAREGPT, ["--completions"], "--completions takes texts"),
    ],
)
def test_what_does_not_go_with_a_file_is_refused(
    tmp_path: Path, lines: list[Any], arguments: list[str], message: str
) -> None:
    path = write(tmp_path, *lines)
    urls = ["--url", "a=http://127.0.0.1:1", "--url", "b=http://127.0.0.1:2"]
    found = CliRunner().invoke(cli, ["bench", *urls, "--prompts", str(path), *arguments])
    assert message in " ".join(found.stderr.split())
    assert found.exit_code == 2
