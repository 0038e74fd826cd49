"""docs/targets/envoy.md explains every field of the access log, and its figures are the rendered ones."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from routegen.compile import compile_text
from routegen.emit import limits
from routegen.emit.envoy import access_log, bootstrap, memory, tls

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/targets/envoy.md").read_text(encoding="utf-8")


def test_every_field_of_the_access_log_is_explained_and_no_other() -> None:
    _, _, log = PAGE.partition("## The access log")
    first_cells = re.findall(r"^\| (`.*?) \|", log, re.MULTILINE)
    explained = [name for cell in first_cells for name in re.findall(r"`([a-z_]+)`", cell)]
    assert sorted(explained) == sorted(access_log.fields(picked=True))


def test_the_figures_are_the_rendered_ones() -> None:
    said = [
        f"({limits.DECISION:g} s for each",
        f"{limits.IDLE_UPLOAD:g} s without a byte or {limits.UPLOAD:g} s in all, else 408",
        f"given up after {limits.UPLOAD:g} s, not {limits.IDLE_UPLOAD:g} s",
        f"closed after {limits.KEEP_ALIVE:g} s",
        f"listens on `{bootstrap.ADMIN}`",
        f"(`{tls.SYSTEM_AUTHORITIES}`",
        f"at most {memory.MAX_CONNECTIONS:,} connections",
        f"from {memory.SHED_FROM:.0%} of".replace("%", " %"),
        f"from {memory.FULL_FROM:.0%} on".replace("%", " %"),
        f"At most {limits.PARALLEL:,} requests",
    ]
    assert [sentence for sentence in said if sentence not in PAGE] == []
    assert limits.SILENCE == 3600  # "one hour without a byte"


def test_the_piece_of_routes_yaml_compiles() -> None:
    (piece,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    head = {"apiVersion": "routegen/v1alpha1", "kind": "InferenceRoutes", "metadata": {"name": "page"}}
    spec = yaml.safe_load(piece)["spec"] | {"backends": {"a": {"endpoints": ["127.0.0.1:8001"]}}}
    plan = compile_text(yaml.safe_dump(head | {"spec": spec}), "page")
    assert plan.router.addresses == ("unix:/run/routegen/router.sock", "unix:/run/routegen/router.sock.1")
