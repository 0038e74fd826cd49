"""The engines' own options against ours: each is compared, may differ for a reason, or is listed as not compared."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from routegen.audit.engines import EngineKind, kinds
from routegen.audit.engines.tables import OPEN, Row, Version, parse_version
from routegen.audit.findings import Rule
from routegen.audit.pairs import Pair, choose
from routegen.audit.reading import parse_manifests
from routegen.audit.rules import BY_ID, RULES
from routegen.audit.workloads import find_engines

IMAGES = {"vllm": "vllm/vllm-openai", "sglang": "lmsysorg/sglang"}
COMMANDS = {
    "vllm": ["vllm", "serve", "org/m"],
    "sglang": ["python3", "-m", "sglang.launch_server", "--model-path=org/m"],
}
READ = ("vllm", "sglang")
"""The engines whose sources the tables are made from."""
REAL = os.environ.get("ROUTEGEN_ENGINE_OPTIONS")


def _pair(kind: str, version: Version, *args: str) -> Pair:
    """Two equal engines, one of which has ``args`` too."""
    pods = []
    for name, more in (("a", ()), ("b", args)):
        image = f"{IMAGES[kind]}:v{'.'.join(map(str, version))}"
        container = {"name": "e", "image": image, "command": COMMANDS[kind], "args": [*more]}
        pods.append({"kind": "Pod", "metadata": {"name": name}, "spec": {"nodeName": "n", "containers": [container]}})
    manifests, problems = parse_manifests(json.dumps({"kind": "List", "items": pods}), "x.json")
    assert not problems
    [pair] = choose(find_engines(manifests), manifests, ())
    return pair


def _messages(pair: Pair, rules: Iterable[Rule] = RULES) -> set[str]:
    return {finding.message for rule in rules for finding in rule.findings(pair)}


def _argument(row: Row) -> list[str]:
    if row.takes == "none":
        return [f"--{row.name}"]
    return [f"--{row.name}", '{"an": {"unusual": "value"}}' if row.name.endswith("-config") else "7777"]


def _silent(engine: EngineKind, rows: Iterable[Row]) -> Iterator[str]:
    """The options that only one of two engines has, in the newest version that has them, and nothing is said of it."""
    usual = {version: _messages(_pair(engine.name, version)) for version in engine.table.versions}
    for row in rows:
        version = row.versions[-1]
        if row.takes == "none" and engine.table.default(row, version) is True:
            continue  # it is on anyway
        pair = _pair(engine.name, version, *_argument(row))
        if not _messages(pair, [BY_ID["FAIR076"]]) and not _messages(pair) - usual[version]:
            yield row.name


@pytest.mark.parametrize("kind", READ)
def test_no_option_is_dropped_in_silence(kind: str) -> None:
    engine = kinds()[kind]
    silent = {name for name in _silent(engine, engine.table.rows) if not engine.is_irrelevant(name)}
    assert silent == SILENT[kind]


_LISTENS = {"host", "port"}
"""Where an engine listens is judged by what leads to it, not by whether it differs."""
SILENT = {"vllm": {"enable-chunked-prefill", "enable-prefix-caching"} | _LISTENS, "sglang": _LISTENS}
"""The first two are what vLLM does anyway."""


@pytest.mark.parametrize("kind", READ)
def test_what_may_differ_has_a_reason_and_names_options_that_exist(kind: str) -> None:
    engine = kinds()[kind]
    flags = {flag for row in engine.table.rows for flag in row.flags}
    for reason, patterns in engine.irrelevant.items():
        assert len(reason.split()) > 1
        for pattern in patterns:
            assert any(engine.is_irrelevant(flag) for flag in flags), pattern
    compared = {engine.by_flag[flag].spelled for option in engine.options.values() for flag in option.names}
    assert not [flag for flag in compared if engine.is_irrelevant(flag.lstrip("-"))]


@pytest.mark.parametrize("kind", READ)
def test_what_is_written_by_hand_agrees_with_the_engines_own_sources(kind: str) -> None:
    engine = kinds()[kind]
    for option in engine.options.values():
        for version in engine.table.versions:
            by_hand, used = option.default(version), engine.default(option.name, version)
            if by_hand is not None and not by_hand.depends and used is not None:
                assert used.value == by_hand.value, f"{option.name} in {version}: give the old default a `before`"


@pytest.mark.parametrize("kind", READ)
def test_every_flag_by_hand_is_one_of_a_version_or_known_to_be_older(kind: str) -> None:
    older = {
        "vllm": {"--speculative-model", "--device", "--model-id", "--model-dir", "--model-name"},
        "sglang": {"--tp", "--dp", "--speculative-algo"},
    }
    assert {flag.spelled for flag in kinds()[kind].by_flag.values() if flag.row is None} == older[kind]


def test_the_tables_are_of_the_versions_that_they_say() -> None:
    for name in READ:
        table = kinds()[name].table
        assert table.versions == tuple(sorted(table.versions))
        assert len(table.versions) >= 2
        assert all(set(row.versions) <= set(table.versions) for row in table.rows)
        assert len(table.rows) > 150


def _real() -> list[Path]:
    return sorted(Path(REAL).glob("*.options.json")) if REAL else []


@pytest.mark.skipif(not REAL, reason="ROUTEGEN_ENGINE_OPTIONS names no folder; docs/development.md says what it holds")
@pytest.mark.parametrize("file", _real(), ids=lambda file: file.name)
def test_the_tables_are_what_the_real_parsers_say(file: Path) -> None:
    """``<engine>-<version>.options.json``: option string -> dest, default and action, as argparse had them."""
    name, _, text = file.name.removesuffix(".options.json").partition("-")
    engine, version = kinds()[name], parse_version(text)
    assert engine.table.has(version), f"{text} is not in the table"
    real = json.loads(file.read_text(encoding="utf-8"))
    ours = {flag: row for row in engine.table.rows if version in row.versions for flag in (*row.flags, *row.off)}
    assert {flag.lstrip("-") for flag in real} - {"help", "h"} <= ours.keys()
    wrong = [flag for flag, told in real.items() if _differs(engine, ours.get(flag.lstrip("-")), version, told)]
    assert not wrong


VALUELESS = {"BooleanOptionalAction", "_StoreTrueAction", "DeprecatedStoreTrueAction", "DeprecatedAction"}


def _differs(engine: EngineKind, row: Row | None, version: Any, told: dict[str, str]) -> bool:
    if row is None:
        return False  # --help
    default = engine.table.default(row, version)
    known = default is OPEN or told["action"].startswith("Deprecated") or default in ([], {}, "triton")
    takes = told["action"] == "DeprecatedStoreConstAction" or (row.takes == "none") == (told["action"] in VALUELESS)
    return not takes or not (known or str(default) == told["default"])
