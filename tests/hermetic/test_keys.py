"""Engines that want a key, asked over real HTTP; and routers that don't start, or don't reload, without one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from routegen_router.config import Backend, Config, ConfigError, Key, Poll, dump, load
from routegen_router.fetch import PollError
from routegen_router.models import Answer
from routegen_router.poller import poll_all
from support.engines import Request, engine
from support.router import router_config, running, wait_for

MODELS = json.dumps({"data": [{"id": "m", "owned_by": "vllm"}]}).encode()


def locked(request: Request) -> None:
    """An engine as vLLM and SGLang are with `--api-key`."""
    good = request.headers.get_all("authorization") == ["Bearer sk-right"]
    request.answer(200 if good else 401, MODELS if good else b'{"error":"Unauthorized"}')


def keyed(url: str, key: Key | None) -> Config:
    return router_config(backends=(Backend(name="a", poll=Poll(urls=(url,)), key=key),), rules=())


def test_the_key_is_shown_when_an_engine_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("sk-right\n")
    monkeypatch.setenv("RIGHT", "sk-right")
    monkeypatch.setenv("WRONG", "sk-wrong")
    with engine(locked) as running_engine:
        for key in (Key(file=str(tmp_path / "key")), Key(env="RIGHT", send=True)):
            assert isinstance(poll_all(keyed(running_engine.url, key))["a"], Answer)
        for wrong in (None, Key(env="WRONG")):
            refused = poll_all(keyed(running_engine.url, wrong))["a"]
            assert isinstance(refused, PollError)
            assert "401" in str(refused)


def test_a_key_that_is_not_here_is_said_and_nobody_is_asked_with_it() -> None:
    with engine(locked) as running_engine:
        told = poll_all(keyed(running_engine.url, Key(env="NO_SUCH_KEY")))["a"]
    assert isinstance(told, PollError)
    assert (told.kind, str(told)) == ("no_key", "the environment variable NO_SUCH_KEY is empty or not there")


def test_a_router_does_not_start_without_a_key_that_it_was_promised(tmp_path: Path) -> None:
    file = tmp_path / "router.json"
    file.write_bytes(dump(keyed("http://127.0.0.1:9/v1/models", Key(file=str(tmp_path / "gone")))))
    command = [sys.executable, "-m", "routegen_router", "--config", str(file), "--listen", "127.0.0.1:0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert f"the key of backend 'a': the file {tmp_path}/gone can't be read: No such file" in done.stderr


def test_a_reload_without_its_key_is_refused(tmp_path: Path) -> None:
    with engine(locked) as running_engine:
        good = keyed(running_engine.url, None)
        with running(tmp_path, good) as router:
            router.rewrite(dump(keyed(running_engine.url, Key(file=str(tmp_path / "gone")))))
            wait_for(lambda: router.logged("configuration refused; the last good one stays in force"), "a refusal")


def test_a_reload_that_was_refused_for_its_key_happens_when_the_key_is_there(tmp_path: Path) -> None:
    refused = "configuration refused; the last good one stays in force"
    with engine(locked) as running_engine, running(tmp_path, keyed(running_engine.url, None)) as router:
        router.rewrite(dump(keyed(running_engine.url, Key(file=str(tmp_path / "late")))))
        wait_for(lambda: router.logged(refused), "a refusal")
        (tmp_path / "late").write_text("sk-right")
        wait_for(lambda: router.logged("configuration loaded"), "the configuration")
        assert len(router.logged(refused)) == 1


def test_a_key_is_in_one_place() -> None:
    both = dump(keyed("http://127.0.0.1:9/v1/models", Key(env="A", file="/b")))
    with pytest.raises(ConfigError, match="a key needs either an environment variable or a file"):
        load(both)
