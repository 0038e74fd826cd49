"""Engines' keys: read where they lie, told to nobody."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from routegen_router.config import Backend, Key
from routegen_router.keys import MAX_BYTES, KeyUnreadableError, authorizations, read

SECRET = "sk-9f8e7d"


@pytest.mark.parametrize("text", [SECRET, f"{SECRET}\n", f"  {SECRET}\r\n"])
def test_a_key_is_read_without_the_white_space_around_it(text: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(text)
    assert read(Key(file=str(tmp_path / "key"))) == SECRET


def test_a_key_is_read_from_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINE_KEY", SECRET)
    assert read(Key(env="ENGINE_KEY")) == SECRET


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty or not there"),
        (b" \n", "is empty or not there"),
        (b"x" * (MAX_BYTES + 1), "can't be read: It is longer than 16 KiB"),
        (f"{SECRET}\nx-evil: 1".encode(), "holds more than a key"),
        (f"{SECRET} and more".encode(), "holds more than a key"),
        (f"{SECRET}é".encode(), "holds more than a key"),
        (SECRET.encode() + b"\xff", "can't be read: is not text"),
        (SECRET.encode() + b"\0", "holds more than a key"),
    ],
)
def test_what_no_header_may_hold_is_no_key(data: bytes, says: str, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(data)
    with pytest.raises(KeyUnreadableError, match=says) as raised:
        read(Key(file=str(file)))
    assert str(file) in str(raised.value)
    assert SECRET not in str(raised.value)


def test_a_key_that_is_missing_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(KeyUnreadableError, match=r"the file .*nokey can't be read: No such file"):
        read(Key(file=str(tmp_path / "nokey")))
    with pytest.raises(KeyUnreadableError, match="the environment variable NO_SUCH_KEY is empty or not there"):
        read(Key(env="NO_SUCH_KEY"))


def test_nothing_is_waited_for_where_the_file_is_a_pipe_or_a_folder(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", tmp_path):
        with pytest.raises(KeyUnreadableError, match=r"can't be read: It is no regular file"):
            read(Key(file=str(place)))


def test_only_keys_that_are_to_be_sent_go_on_requests(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(f"key-{name}")
    backends = (
        Backend(name="sent", key=Key(file=str(tmp_path / "a"), send=True)),
        Backend(name="asked", key=Key(file=str(tmp_path / "b"))),
        Backend(name="open"),
    )
    assert authorizations(backends) == ({"sent": "Bearer key-a"}, [])


def test_a_key_that_is_only_shown_must_be_there_too_and_takes_no_other_away(tmp_path: Path) -> None:
    (tmp_path / "here").write_text("key")
    backends = (
        Backend(name="asked", key=Key(file=str(tmp_path / "gone"))),
        Backend(name="sent", key=Key(file=str(tmp_path / "here"), send=True)),
        Backend(name="lost", key=Key(env="NO_SUCH_KEY", send=True)),
    )
    found, problems = authorizations(backends)
    assert found == {"sent": "Bearer key"}
    assert problems == [
        f"the key of backend 'asked': the file {tmp_path}/gone can't be read: No such file or directory",
        "the key of backend 'lost': the environment variable NO_SUCH_KEY is empty or not there",
    ]
