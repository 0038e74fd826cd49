"""The run folder: what is written is what is read, and a machine that stopped in the middle costs one line."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routegen.bench.records import Block, Part, Request, Sample, append, create, read, rewrite
from routegen.common.problems import UserError
from support.bench_runs import DESIGN, make_run

RUN = make_run("a", "b", design=msgspec.structs.replace(DESIGN, requests=1))


def request(block: int, arm: str = "a", session: int = 0) -> Request:
    return Request(session=session, block=block, arm=arm, prompt=block, scheduled=1.0, sent=1.5, chunks=(0.1, 0.2))


def block(number: int, session: int = 0) -> Block:
    return Block(session=session, block=number, parts=(Part(arms=("a",), started=0.0, ended=1.0),))


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    create(tmp_path / "run", RUN)
    append(tmp_path / "run", [request(0), request(0, "b")])
    append(tmp_path / "run", [block(0)])
    append(tmp_path / "run", [Sample(at=1.0, source="gpu", subject="", absent="nvidia-smi is not here")])

    found = read(tmp_path / "run")

    assert found.run == RUN
    assert found.requests == (request(0), request(0, "b"))
    assert found.blocks == (block(0),)
    assert found.samples[0].absent == "nvidia-smi is not here"


def test_a_folder_with_only_a_design_reads_as_empty(tmp_path: Path) -> None:
    create(tmp_path, RUN)
    found = read(tmp_path)
    assert (found.requests, found.blocks, found.samples, found.sessions) == ((), (), (), 0)


def test_a_second_run_in_one_folder_is_refused(tmp_path: Path) -> None:
    create(tmp_path, RUN)
    with pytest.raises(UserError, match="holds a run already; continue it with --resume"):
        create(tmp_path, RUN)


def test_more_blocks_can_be_asked_for_later(tmp_path: Path) -> None:
    create(tmp_path, RUN)
    more = msgspec.structs.replace(RUN, design=msgspec.structs.replace(RUN.design, blocks=40))
    rewrite(tmp_path, more)
    assert read(tmp_path).run.design.blocks == 40


@given(cut=st.integers(min_value=1, max_value=60))
def test_a_cut_last_line_costs_only_itself(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    folder = tmp_path_factory.mktemp("cut")
    create(folder, RUN)
    append(folder, [request(0), request(1)])
    file = folder / "requests.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole[:-cut])
    assert read(folder).requests == (request(0),)

    append(folder, [request(2)])
    assert read(folder).requests == (request(0), request(2))


def test_a_broken_line_before_the_last_is_named(tmp_path: Path) -> None:
    create(tmp_path, RUN)
    (tmp_path / "requests.jsonl").write_bytes(b'{"session":0}\n{"session":1}\n')
    with pytest.raises(UserError, match=r"requests\.jsonl:1: Object missing required field"):
        read(tmp_path)


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is not a run folder: .*run\.json: No such file"):
        read(tmp_path)


def test_a_later_format_is_refused_rather_than_misread(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"format": 99, "shape": "unknown"}')
    with pytest.raises(UserError, match="format 99 was written by a later routegen"):
        read(tmp_path)


def test_a_block_whose_requests_are_lost_is_measured_again(tmp_path: Path) -> None:
    create(tmp_path, RUN)
    append(tmp_path, [request(0), request(0, "b"), request(1)])
    append(tmp_path, [block(0), block(1)])
    (tmp_path / "requests.jsonl").write_bytes((tmp_path / "requests.jsonl").read_bytes()[:-10])
    assert read(tmp_path).done == {0}


def test_a_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file: can't be made a run folder: File exists"):
        create(tmp_path / "file", RUN)


def test_an_interrupted_block_is_no_part_of_the_result(tmp_path: Path) -> None:
    create(tmp_path, RUN)
    append(tmp_path, [request(-1), request(0), request(1)])
    append(tmp_path, [block(0)])
    append(tmp_path, [request(1, session=1), request(1, "b", session=1)])
    append(tmp_path, [block(1, session=1)])

    found = read(tmp_path)

    assert list(found.measured()) == [request(0), request(1, session=1), request(1, "b", session=1)]
    assert list(found.measured("b")) == [request(1, "b", session=1)]
    assert found.done == {0, 1}
    assert found.sessions == 2
