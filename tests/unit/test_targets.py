"""Targets: each says what it can't use, with its line, and ``validate`` knows what ``render`` knows."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from routegen.cli import cli
from routegen.common.problems import InputError, Problem
from routegen.compile import compile_text
from routegen.targets import TARGETS, find

DOCS = Path(__file__).parents[2] / "docs"
ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: compare}
spec:
  gateway:
    name: here
    create: true
    listeners: [{name: http, port: 8080, address: 10.0.0.1}]
  router:
    image: mine:1
    replicas: 3
    addresses: ["127.0.0.1:1"]
  backends:
    a: {endpoints: ["10.0.0.9:8000"], ownedBy: x}
"""


def noted(target: str) -> list[tuple[int, str]]:
    """Line and path of every note that names the target."""
    notes: list[Problem] = []
    compile_text(ROUTES, "routes.yaml", target=target, notices=notes)
    return [(note.line, note.path) for note in notes if f"the target {target} doesn't use it" in note.message]


def test_envoy_has_no_use_for_a_gateway_object_and_deploys_nothing() -> None:
    assert noted("envoy") == [
        (6, "$.spec.gateway.name"),
        (7, "$.spec.gateway.create"),
        (10, "$.spec.router.image"),
        (11, "$.spec.router.replicas"),
    ]


def test_envoy_gateway_has_no_use_for_addresses_to_bind_or_to_find_the_router_at() -> None:
    assert noted("envoy-gateway") == [(8, "$.spec.gateway.listeners[0].address"), (12, "$.spec.router.addresses")]


@pytest.mark.parametrize("target", TARGETS)
def test_what_nobody_wrote_is_not_noted(target: str) -> None:
    bare = ROUTES[: ROUTES.index("  gateway:")] + ROUTES[ROUTES.index("  backends:") :]
    notes: list[Problem] = []
    compile_text(bare, "routes.yaml", target=target, notices=notes)
    assert not [note for note in notes if "doesn't use it" in note.message]


def test_validate_says_what_render_says(tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text(ROUTES)
    run = CliRunner()
    for target in TARGETS:
        validated = run.invoke(cli, ["validate", "-f", str(file), "--target", target])
        rendered = run.invoke(cli, ["render", "-f", str(file), "--target", target, "--no-envoy-check"])
        assert (validated.exit_code, rendered.exit_code) == (0, 0)
        assert validated.stderr == rendered.stderr != ""
        assert f"for target {target}" in validated.stdout


def test_validate_refuses_what_only_the_target_knows(tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text(ROUTES.replace("10.0.0.9", "a_b.example.com"))
    told = CliRunner().invoke(cli, ["validate", "-f", str(file), "--target", "envoy-gateway"])
    assert told.exit_code == 1
    assert f"{file}:14 $.spec.backends.a.endpoints[0]: a_b.example.com is no DNS name" in str(told.exception)
    assert CliRunner().invoke(cli, ["validate", "-f", str(file), "--target", "envoy"]).exit_code == 0


def test_a_target_that_is_not_there_is_a_problem_beside_the_others() -> None:
    text = ROUTES.replace("    name: here\n", "    target: nginx\n").replace("ownedBy: x", "models: [m, m]")
    with pytest.raises(InputError) as raised:
        compile_text(text, "routes.yaml")
    assert len(raised.value.problems) > 1
    assert any('there is no target "nginx"; known: envoy' in str(problem) for problem in raised.value.problems)


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_is_called_as_in_the_table_and_has_a_page(name: str) -> None:
    assert find(name).name == name
    assert f"# Target `{name}`" in (DOCS / "targets" / f"{name}.md").read_text(encoding="utf-8")
    assert f"docs/targets/{name}.md" in (DOCS.parent / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("memory", "inflight", "said"),
    [
        ("2Gi", "256Mi", None),
        ("512Mi", "64Mi", None),
        ("512Mi", "256Mi", "Set maxInflightBytes to at most 64Mi, or memory to 2048Mi"),
        ("200Mi", "32Mi", "Set maxInflightBytes to at most 25Mi, or memory to 256Mi"),
    ],
)
def test_envoy_wants_memory_for_what_is_decided_at_the_same_time(memory: str, inflight: str, said: str | None) -> None:
    routes = ROUTES.replace("  gateway:\n", f"  gateway:\n    memory: {memory}\n")
    routes = routes.replace("  router:\n", f"  router:\n    maxInflightBytes: {inflight}\n")
    notes: list[Problem] = []
    target = find("envoy")
    compile_text(routes, "routes.yaml", target="envoy", notices=notes, examine=target.examine)
    found = [(note.line, note.message.partition(". ")[2]) for note in notes if "little beside" in note.message]
    assert found == ([] if said is None else [(6, said)])
