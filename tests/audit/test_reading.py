"""Manifests as they come: Lists, YAML 1.1's habits, lines in the right place."""

from __future__ import annotations

import pytest

from routegen.audit.placement import placement
from routegen.audit.quantities import quantity
from routegen.audit.reading import Manifest, is_on, parse_manifests
from routegen.audit.report import audit
from routegen.audit.storage import locate
from routegen.audit.workloads import find_engines


def _read(text: str) -> list[Manifest]:
    manifests, problems = parse_manifests(text, "x.yaml")
    assert not problems
    return manifests


MERGED = """\
kind: Pod
metadata: {name: a}
spec:
  nodeName: n
  containers:
    - &engine
      name: vllm
      image: vllm/vllm-openai:v0.11.0
      args: [--model=m, --port=8000]
      resources: &resources
        limits: {cpu: "4", memory: 8Gi, nvidia.com/gpu: 1}
---
kind: Pod
metadata: {name: b}
spec:
  nodeName: n
  containers:
    - name: vllm
      image: vllm/vllm-openai:v0.11.0
      args: [--model=m]
"""


def test_merge_keys_are_read_as_kubectl_does() -> None:
    text = """\
kind: Pod
metadata: {name: a}
defaults: &defaults
  image: vllm/vllm-openai:v0.11.0
  args: [--model=m]
more: &more
  args: [--model=other]
  imagePullPolicy: Always
spec:
  containers:
    - name: vllm
      <<: [*defaults, *more]
      args: [--model=own]
"""
    [engine] = find_engines(_read(text))
    assert engine.get("image") == "vllm/vllm-openai:v0.11.0"
    assert engine.get("imagePullPolicy") == "Always"
    assert engine.option("model").value == "own"
    assert engine.place("image").line == 4
    assert engine.place("args").line == 13


@pytest.mark.parametrize("text", ["a: &a\n  <<: *a\n", "a: {<<: [1]}\n", "a: {<<: x}\n"])
def test_a_merge_of_nothing_is_named_by_its_line(text: str) -> None:
    _, problems = parse_manifests(f"kind: Pod\n{text}", "x.yaml")
    assert [problem.line for problem in problems if "merge key" in problem.message]


def test_anchors_across_an_object_are_followed() -> None:
    report = audit(_read(MERGED))
    assert report.compared


def test_items_of_lists_keep_their_lines_and_paths() -> None:
    text = """\
kind: List
items:
- kind: Pod
  metadata:
    name: a
- kind: PodList
  items:
  - {kind: Pod, metadata: {name: b}}
"""
    first, second = _read(text)
    assert (first.name, first.place("metadata", "name").line) == ("a", 5)
    assert second.place("metadata", "name").path == "$.items[1].items[0].metadata.name"


@pytest.mark.parametrize("value", [True, "yes", "on", "Y", "true"])
def test_what_kubectl_reads_as_true_is_true(value: object) -> None:
    assert is_on(value)


@pytest.mark.parametrize("value", [False, "no", "off", "", None, 1, "enabled"])
def test_nothing_else_is_true(value: object) -> None:
    assert not is_on(value)


@pytest.mark.parametrize(
    ("text", "number"),
    [("500m", 0.5), ("1.5", 1.5), ("1e3", 1000), ("8Gi", 8 * 2**30), ("20G", 20 * 10**9), (4, 4), ("100u", 1e-4)],
)
def test_quantities_are_kubernetes_own(text: object, number: float) -> None:
    found = quantity(text)
    assert found is not None
    assert float(found) == number


@pytest.mark.parametrize("text", ["8GB", "four", "", "1 Gi", None, True, [1], "1e999", "--1"])
def test_what_is_no_quantity_is_none(text: object) -> None:
    assert quantity(text) is None


def test_a_path_is_followed_to_its_volume_with_subpaths_and_the_longest_mount() -> None:
    text = """\
kind: Pod
metadata: {name: a}
spec:
  containers:
    - name: vllm
      image: vllm/vllm-openai:v0.11.0
      volumeMounts:
        - {name: disk, mountPath: /data}
        - {name: models, mountPath: /data/models, subPath: hub, readOnly: yes}
  volumes:
    - {name: disk, hostPath: {path: /mnt/disk/}}
    - {name: models, persistentVolumeClaim: {claimName: models}}
"""
    [engine] = find_engines(_read(text))
    models, disk = locate(engine, "/data/models/qwen"), locate(engine, "/data/.cache/x")
    assert models is not None
    assert (models.volume, models.path, models.read_only) == ("claim models", "hub/qwen", True)
    assert disk is not None
    assert (disk.volume, disk.path, disk.read_only) == ("host /mnt/disk/.cache/x", "", False)
    assert locate(engine, "/models") is None


@pytest.mark.parametrize(
    ("first", "second", "nodes"),
    [
        ("nodeName: n", "nodeSelector: {kubernetes.io/hostname: n}", "same"),
        ("nodeName: n", "nodeName: m", "different"),
        ("nodeName: n", "nodeSelector: {kubernetes.io/os: linux}", "unknown"),
        ("priority: 1", "priority: 1", "unknown"),
    ],
)
def test_two_pods_are_placed_by_what_holds_them(first: str, second: str, nodes: str) -> None:
    spec = "spec:\n  {}\n  containers: [{{name: e, image: vllm/vllm-openai, args: []}}]\n"
    pod = "kind: Pod\nmetadata: {{name: {}}}\n" + spec
    report = audit(_read("---\n".join([pod.format("a", first), pod.format("b", second)])))
    assert placement(report.compared[0].pair).nodes == nodes
