"""``make test-cluster``: build what is missing, then run tests/cluster in namespaces of its own, once a version.

What follows the versions goes to pytest in place of the folder: ``python -m support.cluster.run 1.9 -x tests/cluster``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import Final

from support.cluster import tools
from support.cluster.sandbox import INSIDE

NAMESPACES: Final = ("--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")


def impossible(versions: list[tools.Version]) -> str | None:
    """Why the tests can't be run on this machine; ``None``: they can."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", *NAMESPACES, "true"], check=False).returncode:
        return "`unshare` can't make user, network, mount and process namespaces here (Linux only)"
    if any(tools.missing(version) for version in versions) and shutil.which("go") is None:
        return "Go is not on PATH; it builds the API server and Envoy Gateway the first time"
    return None


def main() -> int:
    """Run them; pytest's exit code, or 0 with a sentence where they can't be run."""
    chosen = [one for one in sys.argv[1:] if one in tools.ENVOY_GATEWAYS]
    options = [one for one in sys.argv[1:] if one not in tools.ENVOY_GATEWAYS]
    versions = [tools.ENVOY_GATEWAYS[one] for one in chosen]
    if why := impossible(versions):
        print(f"test-cluster is skipped: {why}")
        return 0
    for name, version in zip(chosen, versions, strict=True):
        tools.build(version)
        print(f"Kubernetes {tools.KUBERNETES}, Envoy Gateway {version.gateway}, Envoy {version.envoy}", flush=True)
        command = ["unshare", *NAMESPACES, sys.executable, "-m", "pytest", *(options or ["tests/cluster"])]
        done = subprocess.run(command, cwd=tools.REPOSITORY, env={**os.environ, INSIDE: name}, check=False)
        if done.returncode:
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
