"""``routegen status`` as a user would ask it, of an installation in the real cluster."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from support.cluster.cluster import Installation
from support.cluster.gateways import TARGET
from support.command import ROUTEGEN


def make_pods(installed: Installation) -> None:
    """The routers' pods, as the kubelet would report them."""
    namespace, name = installed.plan.namespace, installed.routers.name
    deployment = installed.api.get("deployment", name, namespace)
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    selector = ",".join(f"{key}={value}" for key, value in deployment["spec"]["selector"]["matchLabels"].items())
    installed.api.kubectl("-n", namespace, "delete", "pod", "-l", selector, "--grace-period=0", "--force")
    for number, address in enumerate(installed.routers.addresses):
        pod = f"{name}-{number}"
        container = {"name": "router", "image": "r"}
        metadata = {"name": pod, "namespace": namespace, "labels": labels}
        installed.api.create(
            {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}
        )
        running = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
        installed.api.patch_status(
            "pod", pod, namespace, {**running, "conditions": [{"type": "Ready", "status": "True"}]}
        )


def status(installed: Installation, folder: Path, file: str) -> tuple[int, dict[str, Any]]:
    """Its exit code, and what it says."""
    (folder / "routes.yaml").write_text(file, encoding="utf-8")
    done = subprocess.run(
        [*ROUTEGEN, "status", "-f", str(folder / "routes.yaml"), "--target", TARGET, "-o", "json"],
        env={**os.environ, "KUBECONFIG": str(installed.api.kubeconfig)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def troubles(told: dict[str, Any]) -> list[str]:
    """One line each."""
    objects = [
        f"{one['kind']} {one['name']}: {trouble['what']}" for one in told["objects"] for trouble in one["troubles"]
    ]
    return objects + [f"router: {trouble['what']}" for one in told["routers"] for trouble in one["troubles"]]
