"""The parts of ``routegen up`` that need neither Envoy nor the router."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from routegen.common.problems import UserError
from routegen.compile import compile_text
from routegen.local.access import Access
from routegen.local.engines import MockEngines, place, read_address
from routegen.local.examples import curl_lines
from routegen.local.watch import changes, content
from routegen.local.workdir import Workdir
from routegen.plan import Addresses, Plan, UpstreamTLS

HEAD = "apiVersion: routegen/v1alpha1\nkind: InferenceRoutes\nmetadata: {name: test}\nspec:\n"
TWO = """\
  backends:
    one: {service: {name: one, port: 8000}, ownedBy: vllm}
    two: {inferencePool: {name: two}, models: [m], ownedBy: sglang}
"""


def plan(spec: str = TWO) -> Plan:
    return compile_text(HEAD + spec, "routes.yaml", deployed=False)


@pytest.mark.parametrize(
    ("text", "name", "url"),
    [
        ("vllm=http://127.0.0.1:8001", "vllm", "http://127.0.0.1:8001"),
        ("vllm=http://127.0.0.1:8001/", "vllm", "http://127.0.0.1:8001"),
        ("a=https://engine.example.com", "a", "https://engine.example.com"),
        ("a=http://[::1]:8001", "a", "http://[::1]:8001"),
    ],
)
def test_an_engines_address_is_a_name_and_a_url(text: str, name: str, url: str) -> None:
    assert read_address(text) == (name, url)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("http://127.0.0.1:8001", "is not NAME=URL"),
        ("vllm=127.0.0.1:8001", "is not NAME=URL"),
        ("=http://127.0.0.1:8001", "is not NAME=URL"),
        ("vllm=http://127.0.0.1:8001/v1", "has more than scheme, host and port"),
        ("vllm=http://me:secret@127.0.0.1", "has more than scheme, host and port"),
        ("vllm=http://127.0.0.1:80011", "has a port that is none"),
    ],
)
def test_another_form_of_address_is_refused_with_what_it_looks_like(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_address(text)


def test_backends_go_where_they_are_placed_and_are_polled_there() -> None:
    one, two = place(plan(), {"one": "http://127.0.0.1:1", "two": "https://engine.example.com"}).backends
    assert (one.reach, one.tls, one.poll_urls) == (
        Addresses((("127.0.0.1", 1),)),
        None,
        ("http://127.0.0.1:1/v1/models",),
    )
    assert (two.reach, two.tls) == (Addresses((("engine.example.com", 443),)), UpstreamTLS())
    assert two.models == ("m",)


def test_all_backends_that_are_not_on_this_machine_are_named_at_once() -> None:
    with pytest.raises(UserError, match=r"backend one is the Kubernetes Service .*/one:8000; backend two is the Infer"):
        place(plan(), {})


async def test_a_mock_engine_has_its_owners_personality_and_serves_the_backends_models() -> None:
    backends = plan().backends
    other = dataclasses.replace(backends[0], name="three", owner="trtllm", models=("adapter-*",))
    async with MockEngines() as mocks:
        urls = await mocks.start((*backends, other))
        assert mocks["one"].behaviour.models == ("mock-model",)
        assert (mocks["two"].personality.name, mocks["two"].behaviour.models) == ("sglang", ("m",))
        assert (mocks["three"].personality.owned_by, mocks["three"].behaviour.models) == (
            "trtllm",
            ("mock-model", "adapter-*"),
        )
        assert len(set(urls.values())) == 3
        assert await mocks.start(backends) == {name: urls[name] for name in ("one", "two")}


def test_requests_to_paste_spell_each_backend_as_the_first_rule_that_takes_a_name_does() -> None:
    spec = """\
  rules:
    - {when: {model: x}, body: engine}
    - {header: x-tier, values: {"f*": one, fast: one, slow: vllm}}
    - split: {one: 1, two: 1}
"""
    lines = dict(curl_lines(plan(TWO + spec), "http://g", {"one": "m", "two": "m"}))
    assert list(lines) == ["to one", "by the split", "the models"]
    command = shlex.split(lines["to one"])
    assert command[2] == "http://g/v1/chat/completions"
    assert "x-tier: fast" in command
    assert json.loads(command[-1])["model"] == "m"


def test_a_nested_field_is_nested_in_the_request_to_paste() -> None:
    lines = dict(curl_lines(plan(TWO + "  rules: [{body: metadata.engine}, {reject: no}]\n"), "http://g", {}))
    assert list(lines) == ["to one", "to two", "the models"]
    body = json.loads(shlex.split(lines["to two"])[-1])
    assert body["metadata"] == {"engine": "two"}
    assert "model" not in body


ENTRY = {"time": "2026-11-22T06:50:12.345Z", "method": "POST", "path": "/v1/completions", "status": 200}


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"backend": "b", "rule": "r", "duration_ms": 7}, "POST /v1/completions          200  → b by r  7 ms"),
        ({"backend": "b", "duration_ms": 7}, "POST /v1/completions          200  → b  7 ms"),
        ({"status": 400, "reject": "invalid_json"}, "POST /v1/completions          400  ✗ invalid_json  0 ms"),
        ({"status": 503, "flags": "UF"}, "POST /v1/completions          503   [UF]  0 ms"),
        ({"status": 0, "path": None, "flags": "-"}, "POST -                        0    0 ms"),
    ],
)
def test_an_access_log_entry_is_one_line(fields: dict[str, object], line: str) -> None:
    access = Access.read(json.dumps(ENTRY | fields))
    assert click.unstyle(str(access))[len("06:50:12  ") :] == line


@pytest.mark.parametrize("line", ["", "text", "[]", '{"message": "x"}'])
def test_a_line_that_is_no_entry_is_none(line: str) -> None:
    assert Access.read(line) is None


@pytest.fixture
def files() -> Iterator[Workdir]:
    made = Workdir()
    yield made
    made.remove()


def test_a_generation_becomes_live_by_a_rename_and_old_ones_go(files: Workdir) -> None:
    for number in ("1", "2", "3"):
        assert files.publish({"rds.yaml": {"resources": []}}) == number
        assert (files.xds / "live" / "rds.yaml").read_text().startswith(f"version_info: '{number}'\n")
    assert sorted(path.name for path in files.xds.iterdir()) == ["2", "3", "live"]


def test_the_work_folder_is_private_and_its_socket_fits_where_temporary_names_are_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("x" * 80)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    made = Workdir()
    try:
        assert made.path.stat().st_mode & 0o777 == 0o700
        assert len(str(made.router_socket)) < 104
    finally:
        made.remove()
    assert not made.path.exists()


async def test_a_file_has_changed_when_its_content_has_and_stays_so(tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text("1")
    seen = changes(file, content(file), lambda: False)
    for change in (lambda: file.write_text("2"), lambda: (tmp_path / "new").rename(file), file.unlink):
        (tmp_path / "new").write_text("3")
        waiting = asyncio.ensure_future(anext(seen))
        await asyncio.sleep(0)
        file.touch()  # no change of content
        change()
        await asyncio.wait_for(waiting, 10)
    await seen.aclose()
