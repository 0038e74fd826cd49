"""The reference is complete: verbs, error codes and metrics, each in the docs, and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from routegen.checks.cases import Case, ExpectCase, RequestCase, read_cases
from routegen.cli import VERBS, cli
from routegen_router.metrics import Crew, Metrics
from routegen_router.poller import Registry
from support.router import router_config

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
INTRODUCTION = """\
# Verbs

Made from `routegen VERB --help` by tests/docs; change the help, not this page.

Exit codes: 0 done; 1 the input can't be used, or something stands in the way (stderr says what); 2 wrong usage;
130 Ctrl-C, but 0 where that is how it ends (`up`, `router`).
Six verbs have codes of their own, which their help lists: `test`, `lint`, `diff`, `status`, `audit` (1 is an
answer; input that can't be used is 2) and `bench` (also 3, 4 and 130).
"""


def test_the_page_of_verbs_is_current(update_golden: bool) -> None:
    """docs/cli.md says what --help says."""
    page, expected = DOCS / "cli.md", "\n".join([INTRODUCTION, *_sections()])
    if update_golden:
        page.write_text(expected)
    assert page.read_text() == expected, "run pytest tests/docs --update-golden"


def test_the_page_says_which_verbs_have_exit_codes_of_their_own() -> None:
    """Those whose help lists them."""
    own = {verb for verb in VERBS if re.search(r"Exit codes: ", _help(verb))}
    told = re.search(r"codes of their own.*", INTRODUCTION, re.DOTALL)
    assert told is not None
    assert set(re.findall(r"`(\w+)`", told[0])) == own
    listed = _help("bench").partition("Exit codes: ")[2].partition("Examples:")[0]
    assert re.findall(r"\b\d+\b", listed) == ["0", "1", "2", "3", "4", "130"]


@pytest.mark.parametrize("verb", ["validate", "render", "explain", "test", "lint", "diff", "up", "bench", "audit"])
def test_what_cannot_be_used_has_the_exit_code_that_the_page_says(verb: str, tmp_path: Path) -> None:
    """2 where 1 is an answer; `routegen` itself makes 1 of what other verbs leave to it."""
    file = str(tmp_path / "missing.yaml")
    ways = {"diff": [file, file], "test": [file], "audit": [file]}
    command = [sys.executable, "-m", "routegen", verb, *ways.get(verb, ["-f", file])]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == (2 if verb in {"test", "lint", "diff", "audit"} else 1), done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_every_verb_has_an_example(verb: str) -> None:
    """An example is a line that starts with the command."""
    assert re.search(rf"^ +(\$ )?(.*\| )?routegen {verb}", _help(verb), re.MULTILINE), _help(verb)


def test_every_error_code_is_documented() -> None:
    """Codes are found in the sources: what a Reject is made with, in the router and for the gateway."""
    used = {*_codes(ROOT / "router"), *_codes(ROOT / "generator/routegen/emit")}
    documented = set(re.findall(r"^\| `([a-z_]+)` \|", (DOCS / "errors.md").read_text(), re.MULTILINE))
    assert documented == used


def test_every_metric_is_documented() -> None:
    """What a router exports, and docs/metrics.md lists."""
    metrics = Metrics()
    metrics.count_in_flight(lambda: 0)
    metrics.look_up(lambda: Registry(router_config(), None, lambda: None), lambda: True, lambda: Crew(1, 1, 0))
    exported = set(re.findall(r"^# TYPE (routegen_\w+)", metrics.render().decode(), re.MULTILINE))
    documented = set(re.findall(r"^\| `(routegen_\w+)` \|", (DOCS / "metrics.md").read_text(), re.MULTILINE))
    assert documented == exported


def test_every_link_in_the_docs_leads_somewhere() -> None:
    """Links to files of this repository."""
    broken = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in [ROOT / "README.md", *DOCS.rglob("*.md")]
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / link).exists()
    ]
    assert broken == []


def test_every_test_that_the_docs_name_exists() -> None:
    """A guarantee names the test that shows it."""
    named = {
        (page.relative_to(ROOT).as_posix(), test)
        for page in [ROOT / "README.md", ROOT / "SECURITY.md", *DOCS.rglob("*.md")]
        for test in re.findall(r"tests/[\w/]+\.(?:py|txt)", page.read_text())
    }
    assert len(named) > 20
    assert sorted(name for name in named if not (ROOT / name[1]).exists()) == []


def _help(verb: str) -> str:
    """What ``--help`` prints in a terminal of 100 columns."""
    done = CliRunner().invoke(cli, [verb, "--help"], prog_name="routegen", terminal_width=100, catch_exceptions=False)
    return done.stdout.rstrip("\n")


def _sections() -> Iterator[str]:
    for verb in VERBS:
        yield f"## routegen {verb}\n\n```text\n{_help(verb)}\n```\n"


def _codes(folder: Path) -> Iterator[str]:
    for file in sorted(folder.rglob("*.py")):
        yield from re.findall(r"Reject\(\s*\d+,\s*\"([a-z_]+)\"", file.read_text())


def test_every_key_of_a_case_is_documented() -> None:
    """docs/testing.md names what a file of cases may hold."""
    page = (DOCS / "testing.md").read_text()
    fields = [field for model in (Case, RequestCase, ExpectCase) for field in model.model_fields.values()]
    assert [field.alias for field in fields if not re.search(rf"[`.]{field.alias}`", page)] == ["request", "expect"]


def test_the_cases_of_the_page_are_a_file_of_cases(tmp_path: Path) -> None:
    """The example in docs/testing.md can be read."""
    [example] = re.findall(r"```yaml\n(.*?)```", (DOCS / "testing.md").read_text(), re.DOTALL)
    (tmp_path / "routes.cases.yaml").write_text(example)
    cases, _ = read_cases(tmp_path / "routes.cases.yaml")
    assert len(cases.cases) == 4
