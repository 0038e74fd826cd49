"""What metrics-server is to an API server, stood in for: an aggregated API with figures that a test invents.

The API server in front of it is real, and so are its aggregation, its discovery and its authorization.
"""

from __future__ import annotations

import json
import ssl
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from support.cluster.api import Api
from support.cluster.sandbox import Sandbox, wait_for
from support.cluster.stand_ins import endpoint, slice_of

GROUP: Final = "metrics.k8s.io"
_ROOT: Final = f"/apis/{GROUP}/v1beta1"
_NAMESPACE: Final = "kube-system"
_PORT: Final = 8443


@contextmanager
def metrics_api(sandbox: Sandbox, api: Api, pods: Mapping[tuple[str, str], Mapping[str, str]]) -> Iterator[None]:
    """Serve figures until the block ends.

    :param pods: (namespace, name) -> labels; each uses a quarter of a core and 512 MiB.
    """
    address, folder = sandbox.address(), sandbox.folder / "metrics"
    folder.mkdir()
    key, certificate = folder / "tls.key", folder / "tls.crt"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=metrics"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    server = ThreadingHTTPServer((address, _PORT), _handler(pods))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, daemon=True).start()
    name = "metrics-server"
    port = {"name": "https", "port": 443, "targetPort": _PORT}
    api.create(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _NAMESPACE}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": _NAMESPACE},
            "spec": {"ports": [port]},
        },
        slice_of(name, _NAMESPACE, [{"name": "https", "port": _PORT}], [endpoint(address)]),
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": f"v1beta1.{GROUP}"},
            "spec": {
                "group": GROUP,
                "version": "v1beta1",
                "insecureSkipTLSVerify": True,
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "service": {"name": name, "namespace": _NAMESPACE},
            },
        },
    )
    try:
        wait_for(lambda: api.request("GET", f"{_ROOT}/nodes")[0] == HTTPStatus.OK, "the metrics API")
        yield
    finally:
        assert api.kubectl("delete", "apiservice", f"v1beta1.{GROUP}").code == 0
        server.shutdown()
        server.server_close()


def _handler(pods: Mapping[tuple[str, str], Mapping[str, str]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            selector = parse_qs(asked.query).get("labelSelector", [""])[0]
            found = _answer(asked.path, selector, pods)
            data = json.dumps(found or {"kind": "Status", "code": 404}).encode()
            self.send_response(HTTPStatus.OK if found else HTTPStatus.NOT_FOUND)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            del format, args

    return Handler


def _answer(path: str, selector: str, pods: Mapping[tuple[str, str], Mapping[str, str]]) -> dict[str, Any] | None:
    version = f"{GROUP}/v1beta1"
    if path == _ROOT:
        verbs = ["get", "list"]
        kinds = [("pods", True, "PodMetrics"), ("nodes", False, "NodeMetrics")]
        resources = [
            {"name": name, "singularName": "", "namespaced": namespaced, "kind": kind, "verbs": verbs}
            for name, namespaced, kind in kinds
        ]
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources}
    stamp = {"timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), "window": "15s"}
    usage = {"cpu": "250m", "memory": "512Mi"}
    if path == f"{_ROOT}/nodes":
        return _list("NodeMetrics", [{"metadata": {"name": "node-1"}, **stamp, "usage": usage}])
    wanted = dict(part.split("=", 1) for part in selector.split(",") if part)
    namespace = path.removeprefix(f"{_ROOT}/namespaces/").removesuffix("/pods")
    items = [
        {
            "metadata": {"name": name, "namespace": space, "labels": dict(labels)},
            **stamp,
            "containers": [{"name": "main", "usage": usage}],
        }
        for (space, name), labels in pods.items()
        if space == namespace and wanted.items() <= labels.items()
    ]
    return _list("PodMetrics", items)


def _list(kind: str, items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"kind": f"{kind}List", "apiVersion": f"{GROUP}/v1beta1", "metadata": {}, "items": list(items)}
