"""``routegen render``: what goes to standard output, what to a folder, and nothing at all on an error."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest
import yaml

from routegen.cli import main
from routegen.distribution import ROUTER_IMAGE
from support.command import ROUTEGEN

ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: render}
spec:
  gateway: {target: envoy}
  backends:
    vllm: {endpoints: [127.0.0.1:8001], ownedBy: vllm}
"""
MISTAKES = ROUTES.replace("endpoints: [127.0.0.1:8001]", "endpoints: []").replace("ownedBy", "ownBy")
IN_CLUSTER = ROUTES.replace("envoy}", "envoy-gateway}").replace(
    "endpoints: [127.0.0.1:8001]", "service: {name: vllm, port: 8000}"
)


@dataclass(frozen=True)
class Done:
    """How a run ended."""

    returncode: int
    stdout: str
    stderr: str


class Render(Protocol):
    """Runs the verb."""

    def __call__(self, *arguments: str, routes: str = ROUTES) -> Done:
        """Run it with ``routes`` on standard input."""


@pytest.fixture
def render(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Render:
    """The whole command line, in this process: Envoy's types are slow to import."""

    def run(*arguments: str, routes: str = ROUTES) -> Done:
        monkeypatch.setattr(sys, "argv", ["routegen", "render", "-f", "-", *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(routes.encode())))
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        assert isinstance(code, int)
        return Done(code, *capsys.readouterr())

    return run


def test_standard_output_holds_envoys_configuration_and_nothing_else(render: Render) -> None:
    done = render()
    assert (done.returncode, done.stderr) == (0, "")
    assert set(yaml.safe_load(done.stdout)) >= {"admin", "node", "static_resources"}


def test_the_routers_configuration_comes_when_it_is_asked_for_as_json(render: Render) -> None:
    done = render("--only", "Router-Config")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["backends"][0]["name"] == "vllm"


def test_only_keeps_the_kinds_that_are_named(render: Render) -> None:
    done = render("--only", "service, Deployment", routes=IN_CLUSTER)
    assert done.returncode == 0
    assert sorted({document["kind"] for document in yaml.safe_load_all(done.stdout)}) == ["Deployment", "Service"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--only", "Gold"], "no document of kind Gold; this renders: envoy, router-config"),
        (["--only", "Envoi"], 'no document of kind Envoi; did you mean "envoy"? this renders: envoy, router-config'),
        (["--target", "gold"], 'there is no target "gold"; known: envoy, envoy-gateway'),
        (["--target", "envoyy"], 'there is no target "envoyy"; did you mean "envoy"? known: envoy, envoy-gateway'),
        (["--gold"], "--gold"),
        (["extra"], "unexpected extra argument"),
    ],
)
def test_misuse_is_exit_code_2_with_nothing_on_standard_output(render: Render, arguments: list[str], says: str) -> None:
    done = render(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr


def test_a_mistake_in_routes_yaml_is_exit_code_1_with_nothing_on_standard_output(
    render: Render, tmp_path: Path
) -> None:
    done = render("--output-dir", str(tmp_path / "out"), routes=MISTAKES)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 2
    assert "<stdin>:7 $.spec.backends.vllm" in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_target_on_the_command_line_wins(render: Render) -> None:
    done = render("--target", "envoy-gateway", "--only", "HTTPRoute", routes=IN_CLUSTER.replace("-gateway", ""))
    assert done.returncode == 0
    assert yaml.safe_load_all(done.stdout).__next__()["kind"] == "HTTPRoute"


def test_a_folder_gets_one_file_a_document_and_keeps_what_else_it_holds(render: Render, tmp_path: Path) -> None:
    (tmp_path / "old.yaml").write_text("mine: true\n")
    (tmp_path / "envoy.yaml").write_text("old: true\n")
    done = render("--output-dir", str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines() == [
        f"routegen: wrote 2 files to {tmp_path}",
        f"routegen: {tmp_path} holds 1 more, left alone: old.yaml",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["envoy.yaml", "old.yaml", "router.json"]
    assert (tmp_path / "envoy.yaml").read_text() == render().stdout
    assert (tmp_path / "router.json").read_text() == render("--only", "router-config").stdout
    assert (tmp_path / "old.yaml").read_text() == "mine: true\n"


def test_a_folder_that_cannot_be_written_is_a_sentence(render: Render, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = render("--output-dir", str(tmp_path / "file" / "folder"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"routegen: {tmp_path}/file/folder/envoy.yaml: can't be written: Not a directory\n"


def test_a_missing_file_is_a_sentence_that_says_what_to_do(tmp_path: Path) -> None:
    done = subprocess.run([*ROUTEGEN, "render"], cwd=tmp_path, capture_output=True, check=False, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "routegen: routes.yaml: no such file; `routegen init` writes one to start from\n"


def test_a_reader_that_leaves_early_is_no_error_worth_a_word(tmp_path: Path) -> None:
    many = "".join(f"    b{n}: {{endpoints: [127.0.0.1:{9000 + n}]}}\n" for n in range(30))
    (tmp_path / "routes.yaml").write_text(ROUTES + many)
    with subprocess.Popen(
        [*ROUTEGEN, "render", "--no-envoy-check"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(5) == b"node:"
        process.stdout.close()
        assert process.stderr.read() == b""


def test_envoys_refusal_is_an_error_unless_the_check_is_left_out(
    render: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "envoy"
    program.write_text("#!/bin/sh\necho 'not today' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("ENVOY_BIN", str(program))
    refused = render()
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == f"routegen: Envoy ({program}) refuses the configuration: not today\n"
    unchecked = render("--no-envoy-check")
    assert (unchecked.returncode, unchecked.stderr) == (0, "")


def test_the_default_image_is_rendered_and_said_to_be_unpublished(render: Render) -> None:
    done = render(routes=IN_CLUSTER)
    assert done.returncode == 0
    images = re.findall(r"^ +image: (.*)$", done.stdout, re.MULTILINE)
    assert images == [ROUTER_IMAGE]
    (said,) = done.stderr.splitlines()
    told = "the default image isn't published; build it from Dockerfile and put its name into spec.router.image"
    assert said.endswith(f' $.spec.router.image: note: {told} (README, "Use it")')
    assert not re.search(r"\.yaml:\d", said), "the key stands on no line"


def test_an_image_of_ones_own_needs_no_word(render: Render) -> None:
    assert render(routes=IN_CLUSTER.replace("spec:\n", "spec:\n  router: {image: mine@sha256:1}\n")).stderr == ""


def test_a_configuration_that_is_too_large_for_an_annotation_is_said_to_be_so(render: Render) -> None:
    models = ", ".join(f"model-{number:06}-{'x' * 80}" for number in range(3000))
    large = IN_CLUSTER.replace("ownedBy: vllm", f"ownedBy: vllm, models: [{models}]")
    done = render(routes=large)
    assert done.returncode == 0
    assert "use `kubectl apply --server-side`" in done.stderr
    many = ", ".join(f"model-{number:06}-{'x' * 200}" for number in range(4700))
    refused = render(routes=IN_CLUSTER.replace("ownedBy: vllm", f"ownedBy: vllm, models: [{many}]"))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "the API server takes 1024" in refused.stderr
