"""TLS on both sides of a real Envoy, and host names."""

from __future__ import annotations

import dataclasses
import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from routegen.plan import Addresses, Listener, ListenerTLS, Plan, UpstreamTLS
from support.engines import certificate
from support.engines import engine as small_engine
from support.envoy import VERSIONS
from support.gateway import Gateway, first_backend, gateway

ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: tls}
spec:
  gateway: {target: envoy, hostnames: [api.test, "*.inference.test"]}
  passthrough: [{path: /info, method: GET, backend: vllm}]
  backends:
    vllm: {endpoints: [127.0.0.1:8001], ownedBy: vllm, models: [m]}
"""
MODELS = {"vllm": ["m"]}


def talk_tls(port: int, trusted: Path, name: str) -> tuple[str | None, bytes]:
    """Ask for the models over TLS: the protocol that was agreed on, and the answer where it is HTTP/1.1."""
    context = ssl.create_default_context(cafile=str(trusted))
    context.set_alpn_protocols(["http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as raw,
        context.wrap_socket(raw, server_hostname=name) as client,
    ):
        client.sendall(f"GET /v1/models HTTP/1.1\r\nhost: {name}\r\nconnection: close\r\n\r\n".encode())
        answer = b""
        while piece := client.recv(65536):
            answer += piece
        return client.selected_alpn_protocol(), answer


@pytest.fixture(scope="module")
def served() -> Iterator[Gateway]:
    with gateway(ROUTES, MODELS) as gate:
        yield gate


@pytest.mark.parametrize("version", VERSIONS)
def test_a_listener_serves_its_certificate(version: str, tmp_path: Path) -> None:
    _, chain = certificate(tmp_path, "api.test")

    def serve_tls(plan: Plan) -> Plan:
        tls = ListenerTLS(cert_file=str(chain), key_file=str(tmp_path / "api.test.key"))
        listening = (Listener("http", 0, "127.0.0.1", tls=tls),)
        return dataclasses.replace(plan, gateway=dataclasses.replace(plan.gateway, listeners=listening))

    with gateway(ROUTES, MODELS, version=version, adjust=serve_tls) as gate:
        agreed, answer = talk_tls(gate.port, chain, "api.test")
        top, _, content = answer.partition(b"\r\n\r\n")
        assert agreed == "http/1.1"
        assert top.startswith(b"HTTP/1.1 200 ")
        assert [entry["id"] for entry in json.loads(content)["data"]] == ["m"]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("api.test", 200),
        ("API.test:8443", 200),
        ("team.inference.test", 200),
        ("inference.test", 404),
        ("other.test", 404),
    ],
)
def test_only_the_named_hosts_are_served(served: Gateway, host: str, status: int) -> None:
    reply = served.post({"model": "m"}, headers=[("host", host)])
    assert reply.status == status
    if status == 404:
        assert reply.code == "not_found"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("named", "trusts", "verify", "status"),
    [
        ("engine.test", True, True, 200),
        ("other.test", True, True, 503),
        (None, True, True, 503),  # the certificate doesn't name 127.0.0.1
        ("engine.test", False, True, 503),
        (None, False, False, 200),
    ],
)
def test_an_engine_must_show_a_trusted_certificate_with_the_right_name(
    version: str, named: str | None, status: int, tmp_path: Path, *, trusts: bool, verify: bool
) -> None:
    context, chain = certificate(tmp_path, "engine.test")
    _, stranger = certificate(tmp_path, "stranger.test")
    with small_engine(lambda request: request.answer(200, b"fine"), tls=context) as engine:
        tls = UpstreamTLS(server_name=named, ca_file=str(chain if trusts else stranger), verify=verify)
        use_tls = first_backend(reach=Addresses((("127.0.0.1", engine.port),)), tls=tls, poll_urls=())
        with gateway(ROUTES, MODELS, version=version, adjust=use_tls) as gate:
            reply = gate.request("GET", "/info", headers=[("host", "api.test")])
            assert reply.status == status
            if status == 503:
                assert reply.code == "engine_unavailable"
            else:
                assert reply.body == b"fine"
