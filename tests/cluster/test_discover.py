"""``routegen discover`` against a real API server, with the rights that it prints and no others."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from routegen.compile import compile_text
from routegen.mock_engine import Behaviour
from routegen.plan import PoolRef
from support.cluster.api import HOST, Answer
from support.cluster.cluster import Cluster
from support.cluster.pools import Pods, install_crds, make_pool
from support.command import ROUTEGEN

ROOT = Path(__file__).parents[2]
NAMESPACE = "inference"
EXAMPLE = (ROOT / "examples/two-engines/routes.yaml").read_text(encoding="utf-8")
KSERVE = "serving.kserve.io_llminferenceservices.yaml"
ACCOUNT = "discoverer"


@pytest.fixture(scope="module")
def guide(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The guide's cluster: both engines, with the label owned_by. The kubeconfig of somebody without rights."""
    crds = Path(os.environ.get("ROUTEGEN_CRDS") or "none")
    if not (crds / KSERVE).exists():
        pytest.skip(f"no {KSERVE}: ROUTEGEN_CRDS names the folder; docs/development.md says how to get it")
    api = cluster.api
    assert api.kubectl("apply", "--server-side", "-f", str(crds / KSERVE)).code == 0
    install_crds(api)
    cluster.namespace(NAMESPACE)
    for engine in ("vllm", "sglang"):
        document = yaml.safe_load((ROOT / f"tests/audit/guide/{engine}.yaml").read_text(encoding="utf-8"))
        document["metadata"]["labels"] = {"owned_by": engine}
        api.create(document)
        time.sleep(1.1)  # the oldest comes first, and the API server's clock shows seconds
    api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT, "namespace": NAMESPACE}})
    token = api.kubectl("-n", NAMESPACE, "create", "token", ACCOUNT)
    assert token.code == 0, token.err
    server = {"server": f"https://{HOST}", "insecure-skip-tls-verify": True}
    file = tmp_path_factory.mktemp("discover") / "kubeconfig"
    file.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "mine",
                "clusters": [{"name": "c", "cluster": server}],
                "users": [{"name": "u", "user": {"token": token.out.strip()}}],
                "contexts": [{"name": "mine", "context": {"cluster": "c", "user": "u"}}],
            }
        ),
        encoding="utf-8",
    )
    yield file
    api.kubectl("delete", "llminferenceservice", "--all", "-n", NAMESPACE)


def discover(kubeconfig: Path, *arguments: str) -> Answer:
    """Run the verb as a user does."""
    command = [*ROUTEGEN, "discover", "--kubeconfig", str(kubeconfig), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return Answer(done.returncode, done.stdout, done.stderr)


def grant(cluster: Cluster, kubeconfig: Path, *arguments: str) -> None:
    """Apply the rights that it prints, bound to its account, as the first line says."""
    printed = discover(kubeconfig, "--print-rbac", *arguments).out
    cluster.api.apply(printed)
    role = yaml.safe_load(printed)
    binding = printed.partition("kubectl create ")[2].partition(" --user")[0].split()
    done = cluster.api.kubectl("create", *binding, f"--serviceaccount={NAMESPACE}:{ACCOUNT}")
    assert done.code == 0, done.err
    assert role["metadata"]["name"] == "routegen-discover"


def revoke(cluster: Cluster) -> None:
    """Take all rights back."""
    for kind in ("clusterrolebinding", "clusterrole", "rolebinding", "role"):
        cluster.api.kubectl("-n", NAMESPACE, "delete", kind, "routegen-discover", "--ignore-not-found")


@pytest.fixture(autouse=True)
def _no_rights(cluster: Cluster, guide: Path) -> Iterator[None]:
    yield
    revoke(cluster)


def test_without_rights_it_says_what_it_may_not_read(guide: Path) -> None:
    done = discover(guide)
    assert (done.code, done.out) == (1, "")
    for kind in ("LLMInferenceServices", "InferencePools", "Services", "Pods", "Deployments"):
        assert f"routegen: not read: {kind}: 403 Forbidden; `routegen discover --print-rbac`" in done.err
    assert "routegen: found no engine in this cluster" in done.err


def test_the_guides_cluster_gives_the_guides_file(cluster: Cluster, guide: Path) -> None:
    grant(cluster, guide)
    done = discover(guide, "--name", "qwen-compare")
    assert (done.code, done.err) == (0, "")
    assert compile_text(done.out, "routes.yaml") == compile_text(EXAMPLE, "example")


def test_one_namespace_needs_a_role_in_it_and_no_more(cluster: Cluster, guide: Path) -> None:
    grant(cluster, guide, "-n", NAMESPACE)
    done = discover(guide, "-n", NAMESPACE, "--name", "qwen-compare", "--context", "mine")
    assert (done.code, done.err) == (0, "")
    assert compile_text(done.out, "routes.yaml") == compile_text(EXAMPLE, "example")
    assert "403 Forbidden" in discover(guide).err


def test_a_selector_is_the_api_servers_own(cluster: Cluster, guide: Path) -> None:
    grant(cluster, guide)
    done = discover(guide, "-l", "owned_by in (vllm, trt),!gone")
    assert [backend.name for backend in compile_text(done.out, "routes.yaml").backends] == ["vllm"]
    assert "found nothing" in discover(guide, "-l", "owned_by=nobody").err


def test_a_pool_and_its_pods_are_asked_through_the_api_server(cluster: Cluster, guide: Path) -> None:
    space, labels = "discover-pool", {"app": "llama"}
    cluster.namespace(space)
    pods = Pods(cluster, space)
    pods.add("discovered", labels, "sglang", Behaviour(models=("m",)))
    make_pool(cluster.api, "llama", space, labels, "FailOpen")
    grant(cluster, guide)
    silent = discover(guide, "-n", space, "--ask-engines")
    assert silent.code == 0
    assert "routegen: not asked: Pod discover-pool/discovered: 403 Forbidden" in silent.err
    assert "ownedBy: sglang" not in silent.out
    revoke(cluster)
    grant(cluster, guide, "--ask-engines")
    done = discover(guide, "-n", space, "--ask-engines")
    assert (done.code, done.err) == (0, "")
    [backend] = compile_text(done.out, "routes.yaml").backends
    assert (backend.name, backend.owner) == ("sglang", "sglang")
    assert isinstance(backend.reach, PoolRef)
    command = next(line for line in done.out.splitlines() if '"kind": "Service"' in line).strip(" #")
    cluster.api.create(json.loads(command))
    again = discover(guide, "-n", space, "--ask-engines")
    assert f"# headless Service {space}/llama-pods, the pool's targetPorts" in again.out
    assert compile_text(again.out, "routes.yaml") == compile_text(done.out, "routes.yaml")
