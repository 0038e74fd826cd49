"""The verbs around routes.yaml: init, validate, schema and completion, as a user calls them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from routegen import __version__
from routegen.compile import compile_text
from routegen.distribution import ROUTER_IMAGE
from routegen.spec.schema import json_schema
from support.command import ROUTEGEN

EXAMPLE = Path(__file__).parents[2] / "examples" / "two-engines" / "routes.yaml"
STARTER = resources.files("routegen").joinpath("starter", "routes.yaml").read_text(encoding="utf-8")


def routegen(
    *arguments: str, cwd: Path, stdin: str = "", environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*ROUTEGEN, *arguments],
        cwd=cwd,
        input=stdin,
        env={**os.environ, "COLUMNS": "120", **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def only_the_image(stderr: str) -> bool:
    """Whether nothing is said but that the router's image isn't published yet."""
    return [line.split(": ")[0].split(" ")[1] for line in stderr.splitlines()] == ["$.spec.router.image"]


def test_init_writes_a_file_that_validates(tmp_path: Path) -> None:
    written = routegen("init", cwd=tmp_path)
    assert (written.returncode, written.stdout) == (
        0,
        "wrote routes.yaml and routes.cases.yaml; next: routegen validate && routegen test\n",
    )
    tested = routegen("test", cwd=tmp_path)
    assert (tested.returncode, tested.stderr) == (0, "")
    checked = routegen("validate", cwd=tmp_path)
    assert (checked.returncode, only_the_image(checked.stderr)) == (0, True)


def test_what_init_writes_is_the_two_engines_example_with_more_comments() -> None:
    assert compile_text(STARTER, "starter") == compile_text(EXAMPLE.read_text(), "example")


def test_the_defaults_that_init_shows_in_comments_are_the_defaults() -> None:
    shown = re.sub(r"^  # (?=\w+: )", "  ", STARTER, flags=re.MULTILINE)
    assert shown.count("\n  # ") < STARTER.count("\n  # ")
    plan = compile_text(shown, "starter")
    assert plan.router.image == f"registry.example.com/routegen-router:{__version__}", "the one that must be changed"
    assert replace(plan, router=replace(plan.router, image=ROUTER_IMAGE)) == compile_text(STARTER, "starter")
    (_, first) = STARTER.split("# Defaults that you may want to change", 1)
    assert first.index("image: ") < first.index("gateway: ")


def test_init_leaves_a_file_that_exists_alone(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("mine")
    refused = routegen("init", "mine.yaml", cwd=tmp_path)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "routegen: mine.yaml exists already and was left as it is; give another name\n"
    assert mine.read_text() == "mine"


def test_init_says_why_a_file_cannot_be_written(tmp_path: Path) -> None:
    refused = routegen("init", "/dev/null/routes.yaml", cwd=tmp_path)
    assert refused.returncode == 1
    assert refused.stderr == "routegen: /dev/null/routes.yaml can't be written: /dev/null is not a folder\n"


def test_validate_sums_up_what_a_file_says(tmp_path: Path) -> None:
    checked = routegen("validate", "-f", str(EXAMPLE), cwd=tmp_path)
    assert (checked.returncode, only_the_image(checked.stderr)) == (0, True)
    assert checked.stdout == (
        "ok: qwen-compare in namespace inference, for target envoy-gateway\n"
        "  2 backends: vllm, sglang\n"
        "  3 rules: body:inference_server, body:owned_by, split\n"
    )


def test_validate_tells_every_problem_on_standard_error(tmp_path: Path) -> None:
    text = EXAMPLE.read_text().replace("sglang: 50}", "gold: 50}").replace("  rules:", "  rule:\n  rules:")
    checked = routegen("validate", "-f", "-", cwd=tmp_path, stdin=text)
    assert (checked.returncode, checked.stdout) == (1, "")
    assert [line.split(": ")[0] for line in checked.stderr.splitlines()] == [
        "<stdin>:17 $.spec.rule",
        "<stdin>:21 $.spec.rules[2].split.gold",
    ]


def test_validate_of_no_file_suggests_init(tmp_path: Path) -> None:
    checked = routegen("validate", cwd=tmp_path)
    assert (checked.returncode, checked.stdout) == (1, "")
    assert checked.stderr == "routegen: routes.yaml: no such file; `routegen init` writes one to start from\n"


def test_schema_prints_the_schema(tmp_path: Path) -> None:
    printed = routegen("schema", cwd=tmp_path)
    assert (printed.returncode, printed.stderr) == (0, "")
    assert json.loads(printed.stdout) == json_schema()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_each_shell(shell: str, tmp_path: Path) -> None:
    printed = routegen("completion", shell, cwd=tmp_path)
    assert printed.returncode == 0
    assert "_ROUTEGEN_COMPLETE" in printed.stdout
    assert f"{shell}_complete" in printed.stdout


def test_the_bash_completion_is_a_script_that_bash_reads(tmp_path: Path) -> None:
    script = routegen("completion", "bash", cwd=tmp_path).stdout
    subprocess.run(["bash", "-n"], input=script, text=True, check=True, timeout=60)


def test_a_half_typed_verb_is_completed(tmp_path: Path) -> None:
    environment = {"_ROUTEGEN_COMPLETE": "bash_complete", "COMP_WORDS": "routegen vali", "COMP_CWORD": "1"}
    assert routegen(cwd=tmp_path, environment=environment).stdout == "plain,validate\n"


@pytest.mark.parametrize("words", ["validate -f ro", "render --output-dir ro", "router --config ro", "init ro"])
def test_names_of_files_are_completed_by_the_shell(words: str, tmp_path: Path) -> None:
    count = str(len(words.split()))
    environment = {"_ROUTEGEN_COMPLETE": "bash_complete", "COMP_WORDS": f"routegen {words}", "COMP_CWORD": count}
    assert routegen(cwd=tmp_path, environment=environment).stdout == "file,ro\n"


def test_a_shell_that_is_not_known_is_a_usage_error(tmp_path: Path) -> None:
    assert routegen("completion", "csh", cwd=tmp_path).returncode == 2
