"""A client of the API server, and kubectl."""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from support.cluster import tools
from support.cluster.sandbox import wait_for

HOST: Final = "127.0.0.1:6443"
TOKEN: Final = "for-tests"


@dataclass
class Answer:
    """What kubectl did."""

    code: int
    out: str
    err: str


class Api:
    """The API server as its administrator sees it."""

    def __init__(self, folder: Path) -> None:
        self.kubeconfig = folder / "kubeconfig"
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": f"https://{HOST}", "insecure-skip-tls-verify": True}}],
            "users": [{"name": "admin", "user": {"token": TOKEN}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
        }
        self.kubeconfig.write_text(yaml.safe_dump(document), encoding="utf-8")
        self._tls = ssl.create_default_context()
        self._tls.check_hostname, self._tls.verify_mode = False, ssl.CERT_NONE

    def request(
        self, method: str, path: str, document: object = None, kind: str = "application/json"
    ) -> tuple[int, Any]:
        """Ask; the status and the answer, as JSON where it is JSON."""
        connection = http.client.HTTPSConnection(HOST, timeout=30, context=self._tls)
        try:
            headers = {"authorization": f"Bearer {TOKEN}", "content-type": kind}
            connection.request(method, path, json.dumps(document) if document is not None else None, headers)
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        return response.status, json.loads(text) if text.startswith("{") else text

    def kubectl(self, *arguments: str, documents: str | None = None) -> Answer:
        """Run kubectl with ``documents`` on its standard input."""
        done = subprocess.run(
            [str(tools.kubectl()), "--kubeconfig", str(self.kubeconfig), *arguments],
            input=documents,
            capture_output=True,
            text=True,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def apply(self, documents: str, *options: str) -> str:
        """``kubectl apply``, which must work; what it says."""
        done = self.kubectl("apply", *options, "-f", "-", documents=documents)
        assert done.code == 0, done.err
        return done.out

    def create(self, *documents: Mapping[str, Any]) -> None:
        """Apply these."""
        self.apply(yaml.safe_dump_all(documents))

    def get(self, kind: str, name: str, namespace: str) -> Any:
        """One object; ``None``: there is none."""
        done = self.kubectl("-n", namespace, "get", kind, name, "-o", "json", "--ignore-not-found")
        assert done.code == 0, done.err
        return json.loads(done.out) if done.out else None

    def list(self, kinds: str, namespace: str, selector: str = "") -> list[Any]:
        """The objects of these kinds."""
        done = self.kubectl("-n", namespace, "get", kinds, "-l", selector, "-o", "json")
        assert done.code == 0, done.err
        items: list[Any] = json.loads(done.out)["items"]
        return items

    def one(self, kind: str, namespace: str, selector: str) -> Any:
        """Wait for the only object with these labels."""
        wait_for(lambda: self.list(kind, namespace, selector), f"a {kind} with {selector}")
        [found] = self.list(kind, namespace, selector)
        return found

    def patch_status(self, kind: str, name: str, namespace: str, status: Mapping[str, Any]) -> None:
        """Write what a controller that isn't there would."""
        patch = json.dumps({"status": status})
        done = self.kubectl("-n", namespace, "patch", kind, name, "--subresource=status", "--type=merge", "-p", patch)
        assert done.code == 0, done.err
