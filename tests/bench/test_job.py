"""``routegen bench --render-job``: the documents, and that the Job does what the command line says."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from routegen.cli import cli
from routegen.distribution import ROUTEGEN_IMAGE

REPOSITORY = Path(__file__).parents[2]
EXAMPLE = str(REPOSITORY / "examples" / "two-engines" / "routes.yaml")
URLS = ("--url", "a=http://one:8000", "--url", "b=http://two:8000")


def bench(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["bench", *arguments])


def documents(*arguments: str) -> dict[str, dict[str, Any]]:
    """Kind -> document."""
    found = bench(*arguments, "--render-job")
    assert found.exit_code == 0, found.output
    return {document["kind"]: document for document in yaml.safe_load_all(found.stdout)}


def pod(*arguments: str) -> dict[str, Any]:
    spec: dict[str, Any] = documents(*arguments)["Job"]["spec"]["template"]["spec"]
    return spec


def container(*arguments: str) -> dict[str, Any]:
    [found] = pod(*arguments)["containers"]
    assert isinstance(found, dict)
    return found


def test_the_job_is_called_with_the_options_that_were_given_and_no_others() -> None:
    given = shlex.split(
        "--url a=http://one:8000 --url b=http://two:8000 --model m --control --concurrency 4 --margin 0.05 "
        "--slo ttft=0.2 --slo e2e=3 --sampling top_p=0.9 --pods inference"
    )
    arguments = container(*given)["args"]
    assert arguments[0] == "bench"
    assert arguments[-2] == "--output-dir"
    assert arguments[-1].startswith("/runs/routegen-bench-")
    assert sorted(arguments[1:-2]) == sorted(given)


def test_the_jobs_own_command_line_is_understood() -> None:
    given = [*URLS, "--control", "--margin", "5%", "--rate", "2.5", "--slo", "ttft=0.2", "--primary", "ttft"]
    first = container(*given)["args"]
    again = container(*first[1:-2])["args"]
    assert again == first


def test_a_sweep_goes_on_in_the_job() -> None:
    arguments = container(*URLS, "--sweep", "concurrency=16,1,4")["args"]
    assert arguments[arguments.index("--sweep") + 1] == "concurrency=1,4,16"
    refused = bench(*URLS, "--sweep", "rate=1,2", "--plan", "--render-job")
    assert refused.exit_code == 2
    assert "--plan does not go with --sweep" in refused.stderr


def test_a_routes_yaml_goes_with_the_job() -> None:
    found = documents("-f", EXAMPLE, "--gateway", "http://gateway")
    assert found["ConfigMap"]["data"]["routes.yaml"] == Path(EXAMPLE).read_text(encoding="utf-8")
    spec = found["Job"]["spec"]["template"]["spec"]
    [main] = spec["containers"]
    assert main["args"][1:3] == ["-f", "/etc/routegen/routes.yaml"]
    assert EXAMPLE not in main["args"]
    assert {"name": "routes", "mountPath": "/etc/routegen", "readOnly": True} in main["volumeMounts"]
    assert {"name": "routes", "configMap": {"name": found["ConfigMap"]["metadata"]["name"]}} in spec["volumes"]
    assert found["Job"]["metadata"]["namespace"] == "inference", "the routes' own"


def test_addresses_need_no_configmap_and_a_namespace_may_be_named() -> None:
    assert documents(*URLS).keys() == {"Job"}
    assert documents(*URLS)["Job"]["metadata"]["namespace"] == "default"
    assert documents(*URLS, "-n", "lab")["Job"]["metadata"]["namespace"] == "lab"


def test_the_pod_may_do_nothing_that_it_does_not_need() -> None:
    spec = pod(*URLS)
    assert spec["automountServiceAccountToken"] is False
    assert "serviceAccountName" not in spec
    assert spec["restartPolicy"] == "Never"
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    [main] = spec["containers"]
    assert main["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert main["resources"]["requests"] == main["resources"]["limits"], "Guaranteed: cores of its own"
    assert {mount["mountPath"] for mount in main["volumeMounts"]} == {"/runs", "/tmp"}


def test_sampling_pods_brings_the_right_to_read_their_figures_and_no_other() -> None:
    rendered = bench(
        *URLS,
        "--pods",
        "inference/app=a",
        "--pods",
        "inference/app=b",
        "--pods",
        "gateway",
        "-n",
        "lab",
        "--render-job",
    ).stdout
    found = list(yaml.safe_load_all(rendered))
    rules = [rule for document in found for rule in document.get("rules", ())]
    assert all(rule["apiGroups"] == ["metrics.k8s.io"] and rule["verbs"] == ["get", "list"] for rule in rules)
    roles = [document["metadata"]["namespace"] for document in found if document["kind"] == "Role"]
    assert roles == ["inference", "gateway"]
    [account] = [document["metadata"]["name"] for document in found if document["kind"] == "ServiceAccount"]
    subjects = [subject for document in found for subject in document.get("subjects", ())]
    assert all(subject == {"kind": "ServiceAccount", "name": account, "namespace": "lab"} for subject in subjects)
    assert len(subjects) == 3
    assert found[-1]["spec"]["template"]["spec"]["serviceAccountName"] == account


def test_results_stay_in_the_claim_where_one_is_named() -> None:
    assert {"name": "runs", "emptyDir": {}} in pod(*URLS)["volumes"]
    claimed = {"name": "runs", "persistentVolumeClaim": {"claimName": "results"}}
    assert claimed in pod(*URLS, "--claim", "results")["volumes"]


def test_the_api_key_comes_from_a_secret_and_is_never_in_a_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "sesame")
    found = bench(*URLS, "--api-key-env", "KEY", "--api-key-secret", "keys", "--render-job").stdout
    assert "sesame" not in found
    main = yaml.safe_load(found)["spec"]["template"]["spec"]["containers"][0]
    assert {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "KEY"}}} in main["env"]
    assert main["args"][-4:-2] == ["--api-key-env", "KEY"]


def test_engines_own_keys_come_from_their_secrets(tmp_path: Path) -> None:
    routes = tmp_path / "routes.yaml"
    routes.write_text(KEYED)
    found = bench("-f", str(routes), "--gateway", "http://g", "--render-job").stdout
    *_, job = yaml.safe_load_all(found)
    main, volumes = job["spec"]["template"]["spec"]["containers"][0], job["spec"]["template"]["spec"]["volumes"]
    assert [one for one in main["args"] if one.startswith("--api-key-file")] == [
        "--api-key-file=a=/etc/routegen-keys/keys/vllm",
        "--api-key-file=b=/etc/routegen-keys/keys/api-key",
    ]
    assert {"name": "key-0", "mountPath": "/etc/routegen-keys/keys", "readOnly": True} in main["volumeMounts"]
    assert {"name": "key-0", "secret": {"secretName": "keys"}} in volumes
    none = bench("-f", str(routes), "--gateway", "http://g", "--engine", "c", "--engine", "d", "--render-job").stdout
    assert "routegen-keys" not in none

    elsewhere = bench("-f", str(routes), "--gateway", "http://g", "-n", "other", "--render-job")
    assert "lies in a Secret of the namespace inference, which a Job in other can't have" in " ".join(
        elsewhere.stderr.split()
    )
    routes.write_text(KEYED.replace("envoy-gateway", "envoy").replace("secretName: keys", "env: KEY"))
    assert "which a Job doesn't have: add secretName" in " ".join(
        bench("-f", str(routes), "--gateway", "http://g", "--render-job").stderr.split()
    )


def test_the_same_run_is_the_same_bytes_and_another_run_another_job() -> None:
    one, same, other = (bench(*URLS, "--seed", seed, "--render-job").stdout for seed in ("1", "1", "2"))
    assert one == same
    assert yaml.safe_load(one)["metadata"]["name"] != yaml.safe_load(other)["metadata"]["name"]


def test_no_value_breaks_out_of_its_place() -> None:
    wild = 'm"\n  - evil: {{ name }} # $(X)'
    assert container(*URLS, "--model", wild)["args"][-3] == wild.replace("$", "$$"), "Kubernetes takes $$ for $"


KEYED = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: keyed, namespace: inference}
spec:
  gateway: {target: envoy-gateway}
  backends:
    a: {endpoints: [10.0.0.1:80], ownedBy: a, apiKey: {secretName: keys, secretKey: vllm}}
    b: {endpoints: [10.0.0.2:80], ownedBy: b, apiKey: {secretName: keys, send: true}}
    c: {endpoints: [10.0.0.3:80], ownedBy: c}
    d: {endpoints: [10.0.0.4:80], ownedBy: d}
"""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            [*URLS, "--output-dir", "run"],
            "--output-dir does not go with --render-job: the Job has a run folder of its own",
        ),
        ([*URLS, "--resume", "run"], "--resume does not go with --render-job"),
        ([*URLS, "--manifests", "x.yaml"], "--manifests does not go with --render-job: give them to"),
        ([*URLS, "--context", "c"], "--context does not go with --render-job"),
        (["-f", "-", "--gateway", "http://g"], "-f - does not go with --render-job"),
        ([*URLS, "--api-key-env", "KEY"], "--api-key-env and --api-key-secret go together"),
        ([*URLS, "--concurrency", "64", "--requests", "32"], "--requests 32 a block can't keep 64 in flight"),
    ],
)
def test_what_a_job_can_not_do_is_refused_before_anything_is_printed(arguments: list[str], message: str) -> None:
    found = bench(*arguments, "--render-job")
    assert found.exit_code == 2
    assert message in re.sub(r"\s+", " ", found.stderr)
    assert found.stdout == ""


def test_the_jobs_options_are_refused_where_no_job_is_rendered() -> None:
    found = bench(*URLS, "--claim", "results")
    assert (found.exit_code, "--claim goes with --render-job" in found.stderr) == (2, True)


def test_the_image_is_the_command_line_with_what_the_bench_needs() -> None:
    text = (REPOSITORY / "generator" / "Dockerfile").read_text(encoding="utf-8")
    assert container(*URLS)["image"] == ROUTEGEN_IMAGE
    assert container(*URLS, "--image", "mine@sha256:1")["image"] == "mine@sha256:1"
    assert "build it from generator/Dockerfile" in bench(*URLS, "--render-job").stderr, "how to make the image"
    assert bench(*URLS, "--render-job", "--image", "mine@sha256:1").stderr == ""
    assert json.loads(text.rpartition("ENTRYPOINT ")[2]) == ["routegen"]
    assert '"/src[bench,cluster]"' in text
    assert "USER 65532:65532" in text
    ignored = (REPOSITORY / "generator" / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    for line in text.splitlines():
        if line.startswith("COPY"):
            *sources, _ = line.split()[1:]
            for source in sources:
                assert (REPOSITORY / source).exists()
                assert f"!{source}" in ignored
