"""``routegen validate --with``: two files of one cluster, and what they would take from each other without a word."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from routegen.cli import cli
from routegen.common.problems import InputError

ONE = {"name": "chat", "namespace": "inference", "gateway": "", "header": "x-inference-server", "backend": "vllm"}


def routes(**changes: str) -> str:
    values = ONE | changes
    return f"""\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {{name: {values["name"]}, namespace: {values["namespace"]}}}
spec:
  routingHeader: {values["header"]}
  gateway: {{{values["gateway"]}}}
  backends:
    {values["backend"]}: {{service: {{name: vllm, namespace: engines, port: 8000}}}}
"""


A, B = "create: false, hostnames: [a.example.com]", "create: false, hostnames: [b.example.com]"
MADE = "hostnames: [a.example.com]"
GUEST = "create: false, hostnames: [b.example.com]"


def said(folder: Path, first: str, *others: str, target: str | None = None) -> list[str]:
    """The problems; empty where there are none."""
    (folder / "one.yaml").write_text(first)
    arguments = ["validate", "-f", "one.yaml", *(["--target", target] if target else [])]
    for number, text in enumerate(others):
        (folder / f"other{number}.yaml").write_text(text)
        arguments += ["--with", f"other{number}.yaml"]
    try:
        assert CliRunner().invoke(cli, arguments, catch_exceptions=False).exit_code == 0
    except InputError as error:
        return [str(problem) for problem in error.problems]
    return []


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (routes(), routes(name="other", gateway="name: another")),
        (routes(), routes(name="other", namespace="elsewhere")),
        (routes(gateway=MADE), routes(name="other", gateway=GUEST)),
        (routes(gateway=A), routes(name="other", gateway=B)),
        (routes(gateway=A), routes(name="other", gateway="create: false")),
        (routes(gateway=A), routes(name="other", gateway="create: false, hostnames: ['*.example.com']")),
        (
            routes(gateway=f"namespace: gateways, {A}"),
            routes(name="other", namespace="elsewhere", gateway=f"namespace: gateways, {B}"),
        ),
    ],
)
def test_what_can_be_beside_each_other_is_taken(first: str, second: str, tmp_path: Path) -> None:
    assert said(tmp_path, first, second) == []
    assert said(tmp_path, second, first) == []


@pytest.mark.parametrize(
    ("first", "second", "sentences"),
    [
        (routes(), routes(), ["one.yaml:3 $.metadata.name: other0.yaml is inference/chat too"]),
        (
            routes(),
            routes(name="other"),
            [
                "one.yaml:6 $.spec.gateway.create: other0.yaml makes the Gateway inference/inference-gateway too",
                "one.yaml:6 $.spec.gateway.hostnames: other0.yaml serves all hosts on the Gateway",
            ],
        ),
        (
            routes(gateway=A),
            routes(name="other", gateway="create: false, hostnames: [z.example.com, a.example.com]"),
            ["one.yaml:6 $.spec.gateway.hostnames: other0.yaml serves a.example.com on the Gateway"],
        ),
        (
            routes(gateway=MADE),
            routes(name="other", gateway=GUEST, header="x-engine"),
            ["one.yaml:5 $.spec.routingHeader: other0.yaml has x-engine, and only one of both is removed"],
        ),
        (
            routes(gateway=f"namespace: gateways, {MADE}"),
            routes(name="other", namespace="elsewhere", gateway=f"namespace: gateways, {GUEST}"),
            ["one.yaml:6 $.spec.gateway.create: the Gateway gateways/inference-gateway, made for chat, lets in"],
        ),
        (
            routes(gateway="name: a"),
            routes(name="chat-to", gateway="name: b", backend="x"),
            [],
        ),
        (
            routes(name="a", gateway="name: a", backend="to-x"),
            routes(name="a-to", gateway="name: b", backend="to-x"),
            [],
        ),
        (
            routes(name="a", gateway="name: a", backend="to-x"),
            routes(name="a-to", gateway="name: b", backend="x"),
            ["one.yaml:3 $.metadata.name: other0.yaml renders HTTPRoute inference/a-to-to-x, ReferenceGrant"],
        ),
    ],
)
def test_what_would_be_lost_is_said_by_line(first: str, second: str, sentences: list[str], tmp_path: Path) -> None:
    found = said(tmp_path, first, second)
    assert [line.startswith(sentence) for line, sentence in zip(found, sentences, strict=True)] == [True] * len(found)


def test_each_of_several_files_is_compared(tmp_path: Path) -> None:
    others = [routes(name="fine", gateway="name: b"), routes(name="other", gateway="hostnames: [x.example.com]")]
    [line] = said(tmp_path, routes(gateway=MADE), *others)
    assert "other1.yaml makes the Gateway" in line


def test_an_envoy_of_ones_own_is_beside_nothing(tmp_path: Path) -> None:
    file = routes().replace("service: {name: vllm, namespace: engines, port: 8000}", "endpoints: [10.0.0.1:8000]")
    assert said(tmp_path, file, file, target="envoy") == []


def test_a_mistake_in_the_file_comes_first(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(routes(backend="'not a name!'"))
    (tmp_path / "two.yaml").write_text(routes())
    done = CliRunner().invoke(cli, ["validate", "-f", "one.yaml", "--with", "two.yaml"])
    assert isinstance(done.exception, InputError)
    assert "overwrite" not in str(done.exception)
