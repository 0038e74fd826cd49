"""``routegen discover`` against a server over real HTTP: which backends, whose they are, what it says otherwise."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from routegen.cli import cli
from routegen.common.problems import UserError
from routegen.compile import compile_text
from routegen.plan import Picker, Plan, PoolRef, ServiceRef, UpstreamTLS
from support.api_server import api_server, kubeconfig
from support.objects import Object, deployment, llm, pod, pool, service

EXAMPLE = Path(__file__).parents[2] / "examples" / "two-engines" / "routes.yaml"
PAGE = Path(__file__).parents[2] / "docs" / "discover.md"
MODEL = "Qwen/Qwen2.5-0.5B-Instruct"
GUIDE = [
    llm("vllm-qwen2-5-0-5b", MODEL, labels={"owned_by": "vllm"}, creationTimestamp="2026-01-01T00:00:00Z"),
    llm("sglang-qwen2-5-0-5b", MODEL, labels={"owned_by": "sglang"}, creationTimestamp="2026-01-01T00:00:09Z"),
]
EPP = {"app": "llama-epp"}
LLAMA = {"app": "llama"}
POOL = [
    pool("llama", LLAMA, "llama-epp"),
    pod("llama-1", LLAMA | {"llm-d.ai/engine-type": "vllm"}),
    service("llama-pods", LLAMA, 8000, headless=True),
    service("llama-epp", EPP, 9002, 9090),
    deployment("llama-epp", EPP, "--pool-name", "llama", "-v=4"),
]


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the verb against a cluster with these objects."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))  # the client caches what it discovers

    def run(objects: Sequence[Object], *arguments: str, **server: Any) -> Result:
        with api_server(objects, **server) as url:
            file = kubeconfig(url, tmp_path / "config")
            return CliRunner().invoke(cli, ["discover", "--kubeconfig", str(file), *arguments], prog_name="routegen")

    return run


def plan(done: Result) -> Plan:
    """What it printed, which is a routes.yaml and nothing else."""
    assert done.exit_code == 0, done.stderr or done.exception
    return compile_text(done.stdout, "routes.yaml")


def problem(done: Result) -> str:
    """What it says instead of printing anything."""
    assert isinstance(done.exception, UserError), done.exception
    assert done.stdout == ""
    return str(done.exception)


def owners(done: Result) -> dict[str, str | None]:
    return {backend.name: backend.owner for backend in plan(done).backends}


def test_the_guides_cluster_gives_the_guides_file(ask: Any) -> None:
    done = ask(GUIDE, "--name", "qwen-compare")
    assert plan(done) == compile_text(EXAMPLE.read_text(encoding="utf-8"), "example")
    assert done.stderr == ""
    assert (
        "    vllm: # LLMInferenceService inference/vllm-qwen2-5-0-5b; model Qwen/Qwen2.5-0.5B-Instruct\n"
        "      llmInferenceService: vllm-qwen2-5-0-5b\n"
        "      ownedBy: vllm # label owned_by of the LLMInferenceService\n"
    ) in done.stdout


def test_the_page_shows_what_is_printed(ask: Any) -> None:
    [shown] = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert ask(GUIDE, "-n", "inference", "--name", "qwen-compare").stdout == shown


def test_the_same_cluster_gives_the_same_bytes(ask: Any) -> None:
    assert ask(GUIDE + POOL).stdout == ask(list(reversed(GUIDE + POOL))).stdout


@pytest.mark.parametrize(
    ("on_service", "on_pods", "arguments", "owner", "told"),
    [
        ({"owned_by": "a"}, {"owned_by": "b"}, (), "a", "label owned_by of the Service"),
        ({}, {"owned_by": "b", "llm-d.ai/engine-type": "c"}, (), "b", "label owned_by of its pods"),
        ({}, {"llm-d.ai/engine-type": "sglang"}, (), "sglang", "label llm-d.ai/engine-type of its pods"),
        ({}, {"inference.networking.k8s.io/engine-type": "vllm"}, (), "vllm", "k8s.io/engine-type of its pods"),
        ({"engine": "d", "owned_by": "a"}, {}, ("--owner-label", "engine"), "d", "label engine of the Service"),
    ],
)
def test_the_first_label_that_names_an_owner_wins(
    ask: Any, on_service: Mapping[str, str], on_pods: Mapping[str, str], arguments: Sequence[str], owner: str, told: str
) -> None:
    done = ask([service("e", {"app": "e"}, labels=on_service), pod("e-1", {"app": "e", **on_pods})], *arguments)
    assert owners(done) == {owner: owner}
    assert told in done.stdout


def test_pods_that_disagree_have_no_owner_and_are_named(ask: Any) -> None:
    pods = [pod("one", LLAMA | {"owned_by": "vllm"}), pod("two", LLAMA | {"llm-d.ai/engine-type": "sglang"})]
    told = problem(ask([pool("mixed", LLAMA, "epp"), *pods]))
    assert "InferencePool inference/mixed: its pods disagree" in told
    assert "one says vllm (owned_by), two says sglang (llm-d.ai/engine-type)" in told


@pytest.mark.parametrize("over", [{"deletionTimestamp": "2026-01-01T00:00:00Z"}, {"phase": "Failed"}])
def test_pods_at_their_end_have_no_say(ask: Any, over: dict[str, str]) -> None:
    last = pod("old", LLAMA | {"owned_by": "sglang"})
    if "phase" in over:
        last["status"] = over
    else:
        last["metadata"] |= over
    objects = [service("e", LLAMA), pod("new", LLAMA | {"owned_by": "vllm"}), pod("bare", LLAMA), last]
    done = ask(objects)
    assert owners(done) == {"vllm": "vllm"}
    assert "label owned_by of its pods (1 of 2)" in done.stdout


def test_a_missing_label_is_no_owner(ask: Any) -> None:
    done = ask([llm("mine"), pod("p", {"app.kubernetes.io/name": "mine"})])
    assert owners(done) == {"mine": None}
    assert "# ownedBy: none found: no label owned_by, llm-d.ai/engine-type" in done.stdout


def test_pods_are_asked_for_their_models_only_where_that_is_wanted(ask: Any) -> None:
    labels = {"app.kubernetes.io/name": "mine", "app.kubernetes.io/part-of": "llminferenceservice"}
    labels["kserve.io/component"] = "workload"
    models = {"data": [{"id": "m", "owned_by": "sglang"}, {"id": "n", "owned_by": "sglang"}]}
    pods = {"mine-2:8000/proxy/v1/models": models}
    objects = [llm("mine"), pod("mine-1", labels, ready=False), pod("mine-2", labels)]
    assert owners(ask(objects, pods=pods)) == {"mine": None}
    done = ask(objects, "--ask-engines", pods=pods)
    assert owners(done) == {"sglang": "sglang"}
    assert "# owned_by in the models that pod mine-2 lists" in done.stdout
    unanswered = ask(objects, "--ask-engines")
    assert owners(unanswered) == {"mine": None}
    assert "routegen: not asked: Pod inference/mine-2: 404" in unanswered.stderr


def test_a_pool_brings_its_pods_and_its_picker(ask: Any) -> None:
    done = ask(POOL)
    found = plan(done)
    [backend] = found.backends
    host = "llama-epp.inference.svc.cluster.local"
    picker = Picker(((host, 9002),), fail_open=True, tls=UpstreamTLS(verify=False))
    assert found.gateway.target == "envoy"
    assert backend.reach == PoolRef("llama", "inference", (("llama-pods.inference.svc.cluster.local", 8000),), picker)
    assert (backend.name, backend.owner) == ("vllm", "vllm")
    assert "# its Service has no port for health" in done.stdout
    assert "can't ask a pool's endpoint picker" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "ports", "tls", "health", "limit"),
    [
        (["--secure-serving=false"], (9002, 9003), False, 9003, 4_000_000),
        (["--secure-serving", "false", "--grpc-health-port=9103"], (9002, 9103), False, 9103, 4_000_000),
        (["--health-checking"], (9002,), True, 9002, 4_000_000),
        (["--grpc-max-recv-msg-size", "64MiB"], (9002,), True, None, (64 << 20) - 200_000),
    ],
)
def test_a_pickers_arguments_and_ports_say_how_it_is_asked(
    ask: Any, arguments: list[str], ports: tuple[int, ...], tls: bool, health: int | None, limit: int
) -> None:
    objects = [*POOL[:3], service("llama-epp", EPP, *ports), deployment("llama-epp", EPP, *arguments)]
    reach = plan(ask(objects)).backends[0].reach
    assert isinstance(reach, PoolRef)
    assert reach.picker is not None
    picker = reach.picker
    assert (picker.tls is not None, picker.health_port, picker.max_body_bytes) == (tls, health, limit)


def test_a_pool_whose_pods_have_no_name_says_how_they_get_one(ask: Any) -> None:
    done = ask([*POOL[:2], *POOL[3:]])
    lines = done.stdout.splitlines()
    first = lines.index("        #   kubectl apply -f - <<'EOF'")
    made = yaml.safe_load(lines[first + 1].strip(" #"))
    assert made["spec"] == {"clusterIP": "None", "selector": LLAMA, "ports": [{"name": "http-8000", "port": 8000}]}
    reach = plan(done).backends[0].reach
    assert isinstance(reach, PoolRef)
    assert reach.endpoints == (("llama-pods.inference.svc.cluster.local", 8000),)


def test_for_envoy_gateway_a_pool_is_a_service_of_its_pods(ask: Any) -> None:
    done = ask([*POOL, service("llama", LLAMA, 80)], "--target", "envoy-gateway")
    [backend] = plan(done).backends
    assert backend.reach == ServiceRef("llama", "inference", 80)
    assert "This target can't ask the pool's picker" in done.stdout
    assert plan(ask(POOL[:2], "--target", "envoy-gateway")).backends[0].reach == ServiceRef(
        "llama-pods", "inference", 8000
    )


def test_what_kserve_made_belongs_to_its_llminferenceservice(ask: Any) -> None:
    owner = [{"kind": "LLMInferenceService", "name": "mine", "controller": True}]
    https = {"port": 8000, "targetPort": 8000, "name": "https", "appProtocol": "https"}
    objects = [
        llm("mine", labels={"owned_by": "vllm"}),
        service("mine-kserve-workload-svc", LLAMA, https, ownerReferences=owner),
        pool("mine-inference-pool", LLAMA, "mine-epp-service", ownerReferences=owner),
        service("mine-epp-service", EPP, 9002, ownerReferences=owner),
        pod("mine-1", LLAMA | {"owned_by": "vllm"}),
    ]
    done = ask(objects)
    [backend] = plan(done).backends
    assert backend.reach == ServiceRef("mine-kserve-workload-svc", "inference", 8000)
    assert backend.tls == UpstreamTLS(verify=False)
    assert "its InferencePool inference/mine-inference-pool and picker are not used" in done.stdout


def test_services_without_a_word_of_an_engine_are_none(ask: Any) -> None:
    objects = [service("web", {"app": "web"}), pod("web-1", {"app": "web"}), service("vllm", LLAMA), pod("e", LLAMA)]
    assert "found no engine in this cluster" in problem(ask(objects))
    assert "Name your engines' Services" in problem(ask(objects))


def test_services_may_be_chosen_by_their_labels(ask: Any) -> None:
    ports = [{"port": 9090, "name": "metrics"}, {"port": 80, "name": "http", "targetPort": "api"}]
    objects = [
        service("vllm", {"app": "vllm"}, *ports, labels={"app": "vllm"}),
        pod("vllm-1", {"app": "vllm"}, ports=[{"name": "api", "containerPort": 8000}]),
        service("other", {"app": "other"}, labels={"owned_by": "sglang"}),
        service("external", {}, labels={"app": "vllm"}),
    ]
    models = {"vllm-1:8000/proxy/v1/models": {"data": [{"id": "m", "owned_by": "vllm"}]}}
    done = ask(objects, "-l", "app=vllm", "--ask-engines", pods=models)
    [backend] = plan(done).backends
    assert (backend.name, backend.owner, backend.reach) == ("vllm", "vllm", ServiceRef("vllm", "inference", 80))
    assert "its ports are 80, 9090; the first was taken" in done.stdout
    assert "found nothing in this cluster with the labels app=web" in problem(ask(objects, "-l", "app=web"))


def test_of_services_with_the_same_pods_one_is_taken_and_the_others_are_named(ask: Any) -> None:
    labels = LLAMA | {"owned_by": "vllm"}
    objects = [service("e-pods", LLAMA, headless=True), service("e", LLAMA), pod("e-1", labels)]
    done = ask(objects)
    assert [backend.reach for backend in plan(done).backends] == [ServiceRef("e", "inference", 8000)]
    assert "# Left out:\n# - Service inference/e-pods: it selects the same pods as Service inference/e\n" in done.stdout
    covered = ask([*POOL, service("more", {"llm-d.ai/engine-type": "vllm"})])
    assert len(plan(covered).backends) == 1
    assert "Service inference/more: its pods are those of a backend above" in covered.stdout


def test_a_service_in_front_of_both_engines_is_left_out(ask: Any) -> None:
    mixed = [service("all", {"app": "engine"}, 8000)]
    both = [pod(name, {"app": "engine", "e": name, "owned_by": name}) for name in ("vllm", "sglang")]
    one_each = [service(name, {"e": name}) for name in ("vllm", "sglang")]
    done = ask([*mixed, *both, *one_each])
    assert owners(done) == {"sglang": "sglang", "vllm": "vllm"}
    assert "# - Service inference/all: its pods disagree" in done.stdout
    assert "its pods disagree" in problem(
        ask([service("all", {"app": "engine"}, labels={"x": "y"}), *both], "-l", "x=y")
    )


def test_backends_of_several_namespaces_and_of_one_owner(ask: Any) -> None:
    labels = {"owned_by": "vllm"}
    objects = [
        llm("llama", labels=labels, namespace="a"),
        llm("llama", labels=labels, namespace="b"),
        llm("vllm", labels=labels, namespace="b"),
        llm("true", namespace="b"),
    ]
    done = ask(objects)
    found = plan(done)
    assert found.namespace == "b"
    reached = {backend.name: backend.reach for backend in found.backends}
    assert reached == {
        "llama": ServiceRef("llama-kserve-workload-svc", "a", 8000),
        "b-llama": ServiceRef("llama-kserve-workload-svc", "b", 8000),
        "true": ServiceRef("true-kserve-workload-svc", "b", 8000),
        "b-vllm": ServiceRef("vllm-kserve-workload-svc", "b", 8000),
    }
    assert [backend.name for backend in plan(ask(objects, "-n", "a")).backends] == ["vllm"]


def test_what_may_not_be_read_is_said_and_the_rest_goes_on(ask: Any) -> None:
    done = ask(GUIDE, forbidden=["InferencePool", "Pod"])
    assert len(plan(done).backends) == 2
    assert "routegen: not read: InferencePools: 403 Forbidden; `routegen discover --print-rbac` prints" in done.stderr
    assert "# Not read: Pods: 403 Forbidden\n" in done.stdout
    assert "found no engine" in problem(ask([], forbidden=["Service"]))


def test_a_cluster_without_the_kinds_says_so(ask: Any) -> None:
    told = problem(ask([], absent=["LLMInferenceService", "InferencePool"]))
    assert "It doesn't know the kinds LLMInferenceService, InferencePool (their CRDs are not installed)." in told
    labelled = ask([service("e", LLAMA, labels={"owned_by": "vllm"})], absent=["InferencePool"])
    assert "# Not known to this cluster: InferencePool\n" in labelled.stdout


def test_text_of_the_cluster_stays_text(ask: Any) -> None:
    """Whoever may make an LLMInferenceService must not write this file."""
    sly = llm("mine", "m\n  backends: {evil: {endpoints: [evil.example:80]}}\u2028x: \x1b[31m")
    sly["status"] = {"conditions": [{"type": "Ready", "status": "False", "reason": "a\nb: c"}]}
    done = ask([sly])
    assert [backend.name for backend in plan(done).backends] == ["mine"]
    assert "\x1b" not in done.stdout
    assert "; not ready: a b: c\n" in done.stdout


def test_an_owner_that_routes_yaml_cannot_say_is_a_sentence(ask: Any) -> None:
    labels = {"app.kubernetes.io/name": "mine", "app.kubernetes.io/part-of": "llminferenceservice"}
    odd = pod("mine-1", labels | {"kserve.io/component": "workload"})
    pods = {"mine-1:8000/proxy/v1/models": {"data": [{"id": "m", "owned_by": "Some One"}]}}
    told = problem(ask([llm("mine"), odd], "--ask-engines", pods=pods))
    assert told.startswith("what was found can't stand in one routes.yaml as it is:\n  $.spec.backends.mine.ownedBy")


def test_a_target_that_is_not_there(ask: Any) -> None:
    assert '--target: no target is called "nginx"' in problem(ask(GUIDE, "--target", "nginx"))


def test_a_cluster_that_cannot_be_reached_is_a_sentence_in_our_words(tmp_path: Path) -> None:
    """The client's libraries speak of pools, retries and objects in lists."""
    with api_server([]) as url:
        file = kubeconfig(url, tmp_path / "gone")
    (broken := tmp_path / "broken").write_text(": {\n")
    nowhere = kubeconfig("http://nobody.invalid:1", tmp_path / "nowhere")
    told = {
        ("--kubeconfig", str(file)): f"{url}: Connection refused",
        ("--kubeconfig", str(nowhere)): "http://nobody.invalid:1: ",  # the resolver's words differ
        ("--kubeconfig", str(broken)): f"{broken} is not YAML, so no kubeconfig",
        ("--kubeconfig", str(tmp_path / "none")): (
            f"there is no kubeconfig at {tmp_path / 'none'}; the variable KUBECONFIG can name another"
        ),
        ("--kubeconfig", str(file), "--context", "tets"): (
            f'the kubeconfig {file} has no context "tets"; did you mean "test"? known: test'
        ),
    }
    for arguments, sentence in told.items():
        said = problem(CliRunner().invoke(cli, ["discover", *arguments]))
        assert said.startswith(f"can't reach the cluster: {sentence}")
        assert not re.search(r"Pool|retries|Errno|object with name", said), said


@pytest.mark.parametrize(
    ("arguments", "kind", "proxy"), [((), "ClusterRole", False), (("-n", "inference", "--ask-engines"), "Role", True)]
)
def test_the_rights_that_it_needs_are_printed_without_a_cluster(
    arguments: tuple[str, ...], kind: str, proxy: bool
) -> None:
    done = CliRunner().invoke(cli, ["discover", "--print-rbac", *arguments])
    role = yaml.safe_load(done.stdout)
    assert (role["kind"], role["metadata"].get("namespace")) == (kind, "inference" if kind == "Role" else None)
    rights = {(rule["apiGroups"][0], rule["resources"][0]): rule["verbs"] for rule in role["rules"]}
    assert rights.pop(("", "pods/proxy"), None) == (["get"] if proxy else None)
    assert rights == {
        ("serving.kserve.io", "llminferenceservices"): ["list"],
        ("inference.networking.k8s.io", "inferencepools"): ["list"],
        ("", "services"): ["list"],
        ("", "pods"): ["list"],
        ("apps", "deployments"): ["list"],
    }
