"""The router's own objects in Kubernetes hang together and say what the router understands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routegen import plan as ir
from routegen.emit.kubernetes.router_deployment import router_documents, unverifiable
from routegen.emit.router_config import router_config
from routegen_router import config
from routegen_router.__main__ import parser
from support.plans import SGLANG, TWO_ENGINES, VLLM, plans, with_router

POLLED = "https://vllm-svc.inference.svc.cluster.local:8443/v1/models"


def made(plan: ir.Plan) -> tuple[Any, Any, Any, Any]:
    """ConfigMap, Service, Deployment, PodDisruptionBudget."""
    config_map, service, deployment, budget = router_documents(plan)
    return config_map, service, deployment, budget


def pod(deployment: Any) -> Any:
    """The Deployment's pod."""
    return deployment["spec"]["template"]["spec"]


def with_authority(namespace: str = "inference") -> ir.Plan:
    """Two engines, one of which is polled over TLS by an authority of its own."""
    tls = ir.UpstreamTLS(ca_config_map="engines-ca")
    backend = replace(VLLM, reach=ir.ServiceRef("vllm-svc", namespace, 8443), tls=tls, poll_urls=(POLLED,))
    return replace(TWO_ENGINES, backends=(backend, SGLANG))


@given(plans())
def test_the_config_map_holds_what_the_router_reads(plan: ir.Plan) -> None:
    config_map, *_ = made(plan)
    assert config.load(config_map["data"]["router.json"].encode()) == router_config(plan)


def test_another_configuration_is_another_config_map_and_so_a_rollout() -> None:
    before, _, old, _ = made(TWO_ENGINES)
    after, _, new, _ = made(replace(TWO_ENGINES, max_body_bytes=1 << 20))
    assert before["metadata"]["name"] != after["metadata"]["name"]
    assert before["immutable"] is True
    assert pod(old)["volumes"][0]["configMap"]["name"] == before["metadata"]["name"]
    assert pod(new)["volumes"][0]["configMap"]["name"] == after["metadata"]["name"]


def test_what_is_no_configuration_is_no_other_config_map() -> None:
    before, *_ = made(TWO_ENGINES)
    after, *_ = made(with_router(TWO_ENGINES, replicas=5, image="registry.example.com/routegen-router:next"))
    assert before == after


def test_the_router_takes_the_arguments_that_it_is_given() -> None:
    _, service, deployment, _ = made(TWO_ENGINES)
    (container,) = pod(deployment)["containers"]
    arguments = parser().parse_args(container["args"])
    mount = container["volumeMounts"][0]["mountPath"]
    assert str(arguments.config) == f"{mount}/router.json"
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert arguments.listen == [f"[::]:{ports['grpc']}"]
    assert arguments.metrics == f"[::]:{ports['http']}"
    assert {port["targetPort"] for port in service["spec"]["ports"]} == ports.keys()
    assert arguments.drain_seconds + 10 < pod(deployment)["terminationGracePeriodSeconds"]


def test_the_router_runs_with_as_little_as_it_needs() -> None:
    _, _, deployment, _ = made(TWO_ENGINES)
    (container,) = pod(deployment)["containers"]
    assert pod(deployment)["automountServiceAccountToken"] is False
    assert pod(deployment)["securityContext"]["runAsNonRoot"] is True
    assert pod(deployment)["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"] == {"requests": {"cpu": "250m", "memory": "256Mi"}}


def test_selectors_find_the_routers_pods_and_no_other_routes() -> None:
    _, service, deployment, budget = made(TWO_ENGINES)
    pods = deployment["spec"]["template"]["metadata"]["labels"]
    for selector in (
        service["spec"]["selector"],
        deployment["spec"]["selector"]["matchLabels"],
        budget["spec"]["selector"]["matchLabels"],
    ):
        assert selector.items() <= pods.items()
        assert selector["app.kubernetes.io/instance"] == "compare"
        assert selector["app.kubernetes.io/component"] == "router"


def test_an_authority_is_mounted_where_the_configuration_looks_for_it() -> None:
    config_map, _, deployment, _ = made(with_authority())
    poll = config.load(config_map["data"]["router.json"].encode()).backends[0].poll
    assert poll is not None
    (container,) = pod(deployment)["containers"]
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume["configMap"]["name"] for volume in pod(deployment)["volumes"]}
    assert poll.ca_file is not None
    folder, _, file = poll.ca_file.rpartition("/")
    assert volumes[mounts[folder]] == "engines-ca"
    assert file == "ca.crt"


def test_an_authority_in_another_namespace_is_pointed_out() -> None:
    plan = with_authority("engines")
    assert [backend.name for backend in unverifiable(plan)] == ["vllm"]
    assert len(pod(made(plan)[2])["volumes"]) == 1


@pytest.mark.parametrize(
    "text", ['a"b', "a: b", "{x}", "- a\n- b", "{{ name }}", "#c", "é\u2028\x85", "'", "*a", "010"]
)
def test_a_value_never_breaks_out_of_its_place(text: str) -> None:
    _, _, plain, _ = made(with_router(TWO_ENGINES, image="IMAGE"))
    _, _, strange, _ = made(with_router(TWO_ENGINES, image=text))
    assert pod(strange)["containers"][0]["image"] == text
    pod(strange)["containers"][0]["image"] = "IMAGE"
    assert strange == plain


@given(st.integers(1, 50))
def test_any_number_of_replicas_can_be_moved_one_at_a_time(replicas: int) -> None:
    _, _, deployment, budget = made(with_router(TWO_ENGINES, replicas=replicas))
    assert deployment["spec"]["replicas"] == replicas
    assert budget["spec"]["maxUnavailable"] == 1


def test_the_pod_fits_the_image() -> None:
    dockerfile = (Path(__file__).parents[2] / "Dockerfile").read_text()
    _, _, deployment, _ = made(TWO_ENGINES)
    security = pod(deployment)["securityContext"]
    assert f"USER {security['runAsUser']}:{security['runAsGroup']}\n" in dockerfile
    (container,) = pod(deployment)["containers"]
    exposed = " ".join(str(port["containerPort"]) for port in container["ports"])
    assert f"EXPOSE {exposed}\n" in dockerfile
