"""TLS between Envoy Gateway and the routers: only an Envoy with a certificate is answered, and nobody guesses."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from support.cluster.cluster import Cluster, Installation
from support.cluster.sandbox import wait_for
from support.pki import Authority, Leaf

NAMESPACE = "secured"
ROUTES = f"""\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {{name: pair, namespace: {NAMESPACE}}}
spec:
  gateway: {{name: secured}}
  router:
    tls:
      router: {{secretName: router-tls}}
      gateway: {{secretName: envoy-tls}}
  backends:
    a: {{service: {{name: a, port: 8000}}}}
    b: {{service: {{name: b, port: 8000}}}}
"""
NAME = f"pair-router.{NAMESPACE}.svc"
GOOD = {"model": "m", "inference_server": "a"}


def secret(name: str, leaf: Leaf) -> dict[str, object]:
    """As cert-manager writes it."""
    keys = ("tls.crt", "tls.key", "ca.crt")
    data = {key: base64.b64encode(file.read_bytes()).decode() for key, file in zip(keys, leaf.files, strict=True)}
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata, "data": data}


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki") / "ours")


@pytest.fixture(scope="module")
def installed(cluster: Cluster, ours: Authority) -> Iterator[Installation]:
    cluster.namespace(NAMESPACE)
    for name in "ab":
        cluster.engines.add(f"secured-{name}", name, NAMESPACE, "vllm", ["m"])
    cluster.api.create(secret("router-tls", ours.sign(NAME)), secret("envoy-tls", ours.sign("envoy")))
    with cluster.installed(ROUTES) as installation:
        yield installation


def test_requests_pass_where_both_show_a_certificate(installed: Installation) -> None:
    engines = installed.cluster.engines
    wait_for(lambda: installed.post(GOOD).status == 200, "the routers to be reached")
    engines.forget()
    for index in range(20):
        assert installed.post({**GOOD, "inference_server": "ab"[index % 2]}).status == 200
    assert engines.reached() == {"secured-a": 10, "secured-b": 10}
    assert installed.request("GET", "/v1/models").status == 200
    assert installed.troubles() == []


def test_an_envoy_whose_certificate_is_not_good_is_refused_by_the_routers(
    installed: Installation, ours: Authority, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A stranger's, and one that has ended; back at once with a good one, without a restart of anything."""
    engines, stranger = installed.cluster.engines, Authority(tmp_path_factory.mktemp("pki") / "theirs")
    wait_for(lambda: installed.post(GOOD).status == 200, "the routers to be reached")
    for bad in (stranger.sign("envoy"), ours.sign("envoy", days=-1)):
        installed.api.create(secret("envoy-tls", bad))
        wait_for(lambda: installed.post(GOOD).status != 200, "the refusal")
        engines.forget()
        for body in (GOOD, {"model": "m"}, {"inference_server": "gold"}):
            reply = installed.post(body, headers=[("x-inference-server", "b")])
            assert (reply.status, reply.code) == (503, "router_unavailable")
        assert engines.reached() == {}
        installed.api.create(secret("envoy-tls", ours.sign("envoy")))
        wait_for(lambda: installed.post(GOOD).status == 200, "the routers to be reached again")


def test_an_envoy_asks_no_router_that_another_authority_vouches_for(
    installed: Installation, ours: Authority, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """By the authority in the router's Secret: once it has changed there, the router that runs is a stranger."""
    stranger = Authority(tmp_path_factory.mktemp("pki") / "theirs")
    wait_for(lambda: installed.post(GOOD).status == 200, "the routers to be reached")
    installed.api.create(secret("router-tls", stranger.sign(NAME)))
    wait_for(lambda: installed.post(GOOD).status == 503, "the refusal")
    installed.api.create(secret("router-tls", ours.sign(NAME)))
    wait_for(lambda: installed.post(GOOD).status == 200, "the routers to be reached again")
