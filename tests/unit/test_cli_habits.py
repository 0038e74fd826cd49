"""What holds for every verb: one way for output, one file at a time, and names that shells complete."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from routegen.cli import VERBS, cli
from routegen.commands.bench import report

EXAMPLE = Path(__file__).parents[2] / "examples" / "two-engines" / "routes.yaml"


def verbs() -> list[click.Command]:
    context = click.Context(cli)
    found = [cli.get_command(context, name) for name in VERBS]
    return [verb for verb in (*found, report) if verb is not None]


@pytest.mark.parametrize("verb", verbs(), ids=lambda verb: str(verb.name))
def test_a_form_of_output_is_asked_for_in_one_way(verb: click.Command) -> None:
    for param in verb.params:
        names = set(param.opts)
        assert not names & {"--format", "--json", "--out"}, "-o FORM, and --output-dir for folders"
        if "-o" in names:
            assert "--output" in names
            assert isinstance(param.type, click.Choice)


@pytest.mark.parametrize(
    "words", ["validate", "render", "explain", "test", "lint", "up", "bench --url a=http://127.0.0.1:1"]
)
def test_a_second_file_is_a_mistake(words: str) -> None:
    done = CliRunner().invoke(cli, [*words.split(), "-f", str(EXAMPLE), "-f", "other.yaml"])
    assert done.exit_code == 2
    assert "-f names" in done.stderr
    assert "other.yaml: one file at a time" in done.stderr.replace("\n", " ")


@pytest.mark.parametrize(
    ("only", "kinds"),
    [
        ("httproutes", {"HTTPRoute"}),
        ("Services,gateways", {"Service", "Gateway"}),
        ("clienttrafficpolicies", {"ClientTrafficPolicy"}),
        ("envoyproxies", {"EnvoyProxy"}),
        ("PodDisruptionBudget", {"PodDisruptionBudget"}),
    ],
)
def test_kinds_may_stand_in_the_plural(only: str, kinds: set[str]) -> None:
    done = CliRunner().invoke(cli, ["render", "-f", str(EXAMPLE), "--only", only])
    assert done.exit_code == 0, done.output
    assert {document["kind"] for document in yaml.safe_load_all(done.stdout)} == kinds


def test_a_kind_that_is_none_is_not_made_one_by_its_ending() -> None:
    done = CliRunner().invoke(cli, ["render", "-f", str(EXAMPLE), "--only", "servicess"])
    assert done.exit_code == 2
    assert 'did you mean "Service"?' in done.stderr


@pytest.mark.parametrize("target", ["envoy-gateway", "envoy"])
def test_json_says_what_yaml_says(target: str) -> None:
    arguments = ["render", "-f", str(EXAMPLE), "--target", target, "--no-envoy-check"]
    as_yaml = [*yaml.safe_load_all(CliRunner().invoke(cli, arguments).stdout)]
    as_json = json.loads(CliRunner().invoke(cli, [*arguments, "-o", "json"]).stdout)
    assert as_json == ({"apiVersion": "v1", "kind": "List", "items": as_yaml} if len(as_yaml) > 1 else as_yaml[0])


def test_the_form_of_standard_output_does_not_go_with_a_folder(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["render", "-f", str(EXAMPLE), "-o", "json", "--output-dir", str(tmp_path)])
    assert done.exit_code == 2
    assert not list(tmp_path.iterdir())


def completed(words: str) -> list[str]:
    """What a bash would offer for the last word."""
    environment = {**os.environ, "_ROUTEGEN_COMPLETE": "bash_complete", "COMP_WORDS": words}
    environment["COMP_CWORD"] = str(len(words.split(" ")) - 1)
    done = subprocess.run(
        [sys.executable, "-m", "routegen"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (f"routegen render -f {EXAMPLE} --only HTTPRouteF", ["HTTPRouteFilter"]),
        (f"routegen render -f {EXAMPLE} --target envoy --only envoy,rou", ["envoy,router-config"]),
        (f"routegen bench -f {EXAMPLE} --engine s", ["sglang"]),
        (f"routegen explain -f {EXAMPLE} --expect v", ["vllm"]),
        ("routegen bench --primary ttft", ["ttft", "ttft_p95", "ttft_p99"]),
        ("routegen audit --explain FAIR00", [f"FAIR00{number}" for number in range(1, 10)]),
        ("routegen render -f nowhere.yaml --only H", []),
    ],
)
def test_names_are_completed(words: str, offered: list[str]) -> None:
    assert completed(words) == offered
