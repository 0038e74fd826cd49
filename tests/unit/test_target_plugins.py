"""Targets from other distributions: found by name, loaded only where they are named, refused with a sentence."""

from __future__ import annotations

import importlib
import sys
from itertools import count
from pathlib import Path

import pytest
from click.testing import CliRunner

from routegen.cli import cli
from routegen.common.problems import InputError
from routegen.compile import compile_text
from routegen.targets import GROUP
from support.distributions import distribution

ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: demo}
spec:
  backends:
    a: {endpoints: [10.0.0.1:8000], ownedBy: x}
"""
LINES = """\
from routegen.common.problems import Remark
from routegen.targets import Capabilities, Output, Rendered, Target

class T(Target):
    'A list of addresses.'
    name = "NAME"
    capabilities = Capabilities(certificates=frozenset({"files"}), creates_gateway=False, binds_addresses=False,
        deploys_router=False, pools=False, pool_tls=False, second_choices=False, bounds_memory=False,
        verifies_addresses=True)

    def examine(self, plan):
        yield Remark(("spec", "backends", plan.backends[0].name), "is first")

    def render(self, plan):
        backends = {backend.name: list(map(list, backend.reach.endpoints)) for backend in plan.backends}
        return Output((Rendered("lines", plan.name, "lines.yaml", {"backends": backends}),))
"""
NUMBER = count()


class Installer:
    """Makes distributions, each with a module name that no other test has used."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder, self._patch = folder, monkeypatch

    def __call__(self, target: str, code: str = LINES) -> str:
        """Install one; its name."""
        name = f"acme-target-{next(NUMBER)}"
        module = name.replace("-", "_")
        entries, code = {target: f"{module}:T"}, code.replace("NAME", target)
        self._patch.syspath_prepend(distribution(self._folder / name, name, entries, code, GROUP))
        importlib.invalidate_caches()
        return name


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installer:
    return Installer(tmp_path, monkeypatch)


def run(*arguments: str, routes: str = ROUTES) -> tuple[int, str, str]:
    done = CliRunner().invoke(cli, [*arguments, "-f", "-"], input=routes)
    return done.exit_code, done.stdout, done.stderr or str(done.exception)


def test_naming_one_leaves_the_help_as_it_was(install: Installer) -> None:
    before = CliRunner().invoke(cli, ["render", "--help"]).stdout
    install("lines")
    assert run("render", "--target", "lines")[0] == 0
    assert CliRunner().invoke(cli, ["render", "--help"]).stdout == before


def test_it_is_used_like_a_built_in_one(install: Installer) -> None:
    install("lines")
    note = "<stdin>:6 $.spec.backends.a: note: is first\n"
    assert run("render", "--target", "lines") == (0, "backends:\n  a:\n  - - 10.0.0.1\n    - 8000\n", note)
    named = ROUTES.replace("  backends:", "  gateway: {target: lines, create: true}\n  backends:")
    code, said, noted = run("validate", routes=named)
    assert (code, said.splitlines()[0]) == (0, "ok: demo in namespace default, for target lines")
    unused = "<stdin>:5 $.spec.gateway.create: note: the target lines doesn't use it: it renders no Gateway object\n"
    assert noted == unused + note.replace(":6", ":7")


def test_it_is_loaded_only_where_it_is_named(install: Installer) -> None:
    name = install("boom", "raise RuntimeError('loaded')")
    assert run("render", "--target", "envoy-gateway", "--only", "Service")[0] == 0
    assert name.replace("-", "_") not in sys.modules
    code, _, said = run("validate", "--target", "boom")
    told = f"<stdin>:4 $.spec.gateway.target: boom of {name} can't be loaded: RuntimeError: loaded"
    assert (code, said) == (1, told)


@pytest.mark.parametrize("target", ["lines", "envoy"])
def test_a_name_that_is_claimed_twice_names_both(install: Installer, target: str) -> None:
    first, second = install(target), "routegen" if target == "envoy" else install(target)
    claimed = [second, first] if target == "envoy" else [first, second]
    code, _, said = run("validate", "--target", target)
    assert code == 1
    assert f'"{target}" is claimed by {" and by ".join(claimed)}; uninstall all but one of them' in said
    assert run("render", "--target", "envoy-gateway", "--only", "Service")[0] == 0


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("T = 1", "is no target: it must be a subclass of routegen.targets.Target that renders"),
        (LINES[: LINES.index("    def render")], "is no target: it must be a subclass"),
        (LINES.replace('"NAME"', '"other"'), 'must have name = "odd" and its capabilities'),
        (LINES.replace("    capabilities = Capab", "    can = Capab"), "must have name ="),
    ],
)
def test_what_is_no_target_is_refused(install: Installer, code: str, told: str) -> None:
    install("odd", code)
    with pytest.raises(InputError, match=r"^routes.yaml:4 \$.spec.gateway.target: ") as raised:
        compile_text(ROUTES, "routes.yaml", target="odd")
    assert told in str(raised.value)
    assert CliRunner().invoke(cli, ["plugins"]).exit_code == 1


def test_the_list_has_it_and_a_name_that_nobody_brings_is_told_with_those_that_are_known(install: Installer) -> None:
    name = install("lines")
    listed = CliRunner().invoke(cli, ["plugins"])
    assert (listed.exit_code, listed.stderr) == (0, "")
    assert f"  lines          {name} 1.0" in listed.stdout
    assert "A list of addresses." in listed.stdout
    code, _, said = run("render", "--target", "nginx")
    assert code == 2
    assert 'no target "nginx"; known: envoy, envoy-gateway, istio, lines' in said
