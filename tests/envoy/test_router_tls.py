"""TLS between a real Envoy and the router: both show a certificate, and where one isn't good nobody is guessed for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from routegen.plan import Plan
from routegen.plan.router import Identity, RouterTLS
from support.envoy import VERSIONS
from support.gateway import Gateway, gateway
from support.pki import Authority, Leaf
from support.router import wait_for

ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: tls}
spec:
  gateway: {target: envoy}
  backends:
    a: {endpoints: [127.0.0.1:8001], ownedBy: vllm}
"""
NAME = "router.test"


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki") / "ours")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki") / "theirs")


def identity(leaf: Leaf) -> Identity:
    return Identity(*map(str, leaf.files))


def with_tls(router: Leaf, envoy: Leaf, name: str | None = NAME) -> Callable[[Plan], Plan]:
    """Both sides' files."""

    def change(plan: Plan) -> Plan:
        tls = RouterTLS(router=identity(router), gateway=identity(envoy), server_name=name)
        return dataclasses.replace(plan, router=dataclasses.replace(plan.router, tls=tls))

    return change


def running(adjust: Callable[[Plan], Plan], version: str = VERSIONS[0]) -> AbstractContextManager[Gateway]:
    return gateway(ROUTES, {"a": ["m"]}, version=version, adjust=adjust)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", [NAME, None])
def test_requests_pass_where_both_show_a_certificate(ours: Authority, version: str, name: str | None) -> None:
    """By its name, or by the address that Envoy connects to; health checks pass as well."""
    router, envoy = ours.sign(NAME, addresses=["127.0.0.1"]), ours.sign("envoy")
    with running(with_tls(router, envoy, name), version) as gate:
        for body in (b'{"model": "m"}', b'{"model": "m", "x": "' + b"x" * 5_000_000 + b'"}'):
            assert gate.post(body).status == 200
        assert len(gate.engines["a"].recorder.generations()) == 2
        wait_for(lambda: healthy(gate), "a health check to pass")
        assert gate.envoy.stat("cluster.router.health_check.failure") == 0
        assert gate.envoy.stat("cluster.router.ssl.connection_error") == 0


def healthy(gate: Gateway) -> bool:
    return gate.envoy.stat("cluster.router.health_check.success") > 1


@pytest.mark.parametrize("wrong", ["envoy: stranger", "envoy: expired", "router: stranger", "router: expired", "name"])
def test_a_certificate_that_is_not_good_fails_closed(ours: Authority, theirs: Authority, wrong: str) -> None:
    router, envoy = ours.sign(NAME), ours.sign("envoy")
    match wrong:
        case "envoy: stranger":
            envoy = dataclasses.replace(theirs.sign("envoy"), ca=ours.cert)
        case "envoy: expired":
            envoy = ours.sign("envoy", days=-1)
        case "router: stranger":
            router = dataclasses.replace(theirs.sign(NAME), ca=ours.cert)
        case "router: expired":
            router = ours.sign(NAME, days=-1)
    with running(with_tls(router, envoy, "other.test" if wrong == "name" else NAME)) as gate:
        reply = gate.post({"model": "m"})
        assert (reply.status, reply.code) == (503, "router_unavailable")
        assert gate.engines["a"].recorder.generations() == ()


def test_a_router_that_speaks_no_tls_is_not_asked(ours: Authority) -> None:
    tls = with_tls(ours.sign(NAME), ours.sign("envoy"))
    with (
        running(lambda plan: plan) as plain,
        gateway(ROUTES, {"a": ["m"]}, routers=plain.router.listen if plain.router else (), adjust=tls) as gate,
    ):
        assert plain.post({"model": "m"}).status == 200
        assert gate.post({"model": "m"}).code == "router_unavailable"
        assert gate.engines["a"].recorder.generations() == ()


def test_a_renewed_certificate_of_the_router_needs_no_restart(ours: Authority, tmp_path: Path) -> None:
    router = ours.sign(NAME, days=-1).copied(tmp_path / "tls")
    with running(with_tls(router, ours.sign("envoy"))) as gate:
        assert gate.post({"model": "m"}).code == "router_unavailable"
        router.becomes(ours.sign(NAME))
        wait_for(lambda: gate.post({"model": "m"}).status == 200, "the new certificate")
