"""Two routes.yaml on one Gateway, each with host names and a router of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from routegen.checks.beside import clashes
from routegen.compile import compile_text
from support.cluster.cluster import Cluster, Installation
from support.gateway import Reply
from support.spoofed import FORMS

NAMESPACE = "shared"
HEADER = "x-inference-server"


def routes(name: str, host: str, owners: str, more: str = "") -> str:
    """Both files call their backends alike."""
    return f"""\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {{name: {name}, namespace: {NAMESPACE}}}
spec:
  gateway: {{name: both, hostnames: [{host}]{more}}}
  backends:
    vllm: {{service: {{name: {owners}-vllm, port: 8000}}, ownedBy: vllm}}
    sglang: {{service: {{name: {owners}-sglang, port: 8000}}, ownedBy: sglang}}
"""


CHAT = routes("chat", "chat.example.com", "chat")
CODE = routes("code", "code.example.com", "code", ", create: false")


@pytest.fixture(scope="module")
def both(cluster: Cluster) -> Iterator[tuple[Installation, Installation]]:
    cluster.namespace(NAMESPACE)
    for owner in ("chat", "code"):
        for name in ("vllm", "sglang"):
            service = f"{owner}-{name}"
            cluster.engines.add(service, service, NAMESPACE, name, [f"{owner}-model"])
    with cluster.installed(CHAT) as first, cluster.installed(CODE, proxy=first.proxy) as second:
        yield first, second


def ask(
    installed: Installation, host: str, body: bytes | None, path: str, forged: Sequence[tuple[str, str]] = ()
) -> Reply:
    method = "GET" if body is None else "POST"
    return installed.request(method, path, body, [("host", host), *forged])


def test_these_files_can_be_beside_each_other() -> None:
    chat, code = (compile_text(text, "routes.yaml") for text in (CHAT, CODE))
    assert list(clashes(chat, code, "code.yaml")) == []
    assert list(clashes(code, chat, "chat.yaml")) == []


@pytest.mark.parametrize("owner", ["chat", "code"])
@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_each_host_is_served_by_its_own_router_and_engines(
    both: tuple[Installation, Installation], owner: str, engine: str
) -> None:
    host, engines = f"{owner}.example.com", both[0].cluster.engines
    for forged in ((), *FORMS.values()):
        engines.forget()
        body = f'{{"model": "{owner}-model", "inference_server": "{engine}"}}'.encode()
        reply = ask(both[0], host, body, "/v1/chat/completions", forged)
        assert (reply.status, reply.header(HEADER)) == (200, engine)
        assert engines.reached() == {f"{owner}-{engine}": 1}
    listed = ask(both[0], host, None, "/v1/models").json["data"]
    assert [one["id"] for one in listed] == [f"{owner}-model"]
    other = "code" if owner == "chat" else "chat"
    reply = ask(both[0], host, f'{{"model": "{other}-model"}}'.encode(), "/v1/chat/completions")
    assert (reply.status, reply.code) == (404, "model_not_found")


def test_other_hosts_and_paths_reach_nobody(both: tuple[Installation, Installation]) -> None:
    engines = both[0].cluster.engines
    engines.forget()
    for host, path in (
        ("other.example.com", "/v1/chat/completions"),
        ("chat.example.com", "/metrics"),
        ("code.example.com", "/metrics"),
    ):
        assert ask(both[0], host, b"{}", path).status == 404
    assert engines.reached() == {}


def test_one_of_them_goes_and_the_other_stays(both: tuple[Installation, Installation]) -> None:
    first, second = both
    second.routers.vanish()
    assert ask(first, "chat.example.com", b'{"inference_server": "vllm"}', "/v1/completions").status == 200
    assert ask(first, "code.example.com", b"{}", "/v1/completions").status == 503
    second.delete()
    assert ask(first, "chat.example.com", b'{"inference_server": "vllm"}', "/v1/completions").status == 200
