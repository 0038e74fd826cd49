"""``make test-cluster``: build what is missing, then run tests/cluster in namespaces of its own, once a gateway.

What follows the gateways goes to pytest in place of the folder: ``python -m support.cluster.run 1.9 -x tests/cluster``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import Final

from support.cluster import tools
from support.cluster.gateways import GATEWAYS, GatewayUnderTest
from support.cluster.sandbox import INSIDE

NAMESPACES: Final = ("--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")


def impossible(gateways: list[GatewayUnderTest]) -> str | None:
    """Why the tests can't be run on this machine; ``None``: they can."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", *NAMESPACES, "true"], check=False).returncode:
        return "`unshare` can't make user, network, mount and process namespaces here (Linux only)"
    if any(gateway.missing() for gateway in gateways) and shutil.which("go") is None:
        return "Go is not on PATH; it builds the API server and the gateways the first time"
    return None


def main() -> int:
    """Run them; pytest's exit code, or 0 with a sentence where they can't be run."""
    chosen = [one for one in sys.argv[1:] if one in GATEWAYS]
    options = [one for one in sys.argv[1:] if one not in GATEWAYS]
    if why := impossible([GATEWAYS[name] for name in chosen]):
        print(f"test-cluster is skipped: {why}")
        return 0
    tools.build_common()
    for name in chosen:
        GATEWAYS[name].build()
        print(f"Kubernetes {tools.KUBERNETES}, {GATEWAYS[name].name}", flush=True)
        command = ["unshare", *NAMESPACES, sys.executable, "-m", "pytest", *(options or ["tests/cluster"])]
        done = subprocess.run(command, cwd=tools.REPOSITORY, env={**os.environ, INSIDE: name}, check=False)
        if done.returncode:
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
