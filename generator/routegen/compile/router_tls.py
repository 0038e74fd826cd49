"""TLS between the gateway and the router."""

from __future__ import annotations

from routegen.common.positions import Path
from routegen.compile.names import Findings
from routegen.plan.router import Identity, RouterTLS
from routegen.spec.models import RouterSpec
from routegen.spec.router_tls import IdentitySpec
from routegen.targets import Target

_PATH: Path = ("spec", "router", "tls")


def compile_router_tls(router: RouterSpec, target: Target, findings: Findings, *, deployed: bool) -> RouterTLS | None:
    """What both sides show, where the target can make them.

    :param deployed: ``False``: the router is on this machine, where there is no TLS; its address may be a Unix socket.
    """
    tls = router.tls
    if tls is None:
        return None
    if not target.capabilities.router_tls:
        findings.add(_PATH, f"the target {target.name} can't speak TLS to the router; leave it out")
    elif deployed and any(address.startswith("unix:") for address in router.addresses):
        findings.add(_PATH, "a Unix socket needs no TLS: leave it out, or name host:port under addresses")
    return RouterTLS(_identity(tls.router), _identity(tls.gateway), tls.server_name)


def _identity(spec: IdentitySpec) -> Identity:
    return Identity(spec.cert_file, spec.key_file, spec.ca_file)
