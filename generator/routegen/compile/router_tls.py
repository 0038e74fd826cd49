"""TLS between the gateway and the router."""

from __future__ import annotations

from routegen.common.positions import Path
from routegen.compile.names import Findings
from routegen.plan import Identity, Issuer, RouterTLS
from routegen.spec.models import RouterSpec
from routegen.spec.router_tls import IdentitySpec
from routegen.targets import Target

_PATH: Path = ("spec", "router", "tls")


def compile_router_tls(router: RouterSpec, target: Target, findings: Findings, *, deployed: bool) -> RouterTLS | None:
    """What both sides show, as far as the target can make them.

    :param deployed: ``False``: certificates may lie where the target reads none; on this machine there is no TLS.
    """
    tls = router.tls
    if tls is None:
        return None
    if not target.capabilities.router_tls:
        findings.add(_PATH, f"the target {target.name} can't speak TLS to the router; leave it out")
    elif deployed:
        for side, identity in (("router", tls.router), ("gateway", tls.gateway)):
            _check(identity, (*_PATH, side), target, findings)
        if tls.cert_manager is not None and "secrets" not in target.capabilities.certificates:
            findings.add((*_PATH, "certManager"), f"the target {target.name} reads no Secrets, so nobody needs them")
        if not target.capabilities.deploys_router and any(one.startswith("unix:") for one in router.addresses):
            findings.add(_PATH, "a Unix socket needs no TLS: leave it out, or name host:port under addresses")
    issuer = tls.cert_manager
    return RouterTLS(
        router=_identity(tls.router),
        gateway=_identity(tls.gateway),
        server_name=tls.server_name,
        issuer=None if issuer is None else Issuer(issuer.issuer, issuer.kind, issuer.group),
    )


def _identity(spec: IdentitySpec) -> Identity:
    return Identity(spec.secret_name, spec.cert_file, spec.key_file, spec.ca_file)


def _check(identity: IdentitySpec, path: Path, target: Target, findings: Findings) -> None:
    given = {"files": identity.cert_file, "secrets": identity.secret_name}
    if any(given[source] for source in target.capabilities.certificates):
        return
    if "files" in target.capabilities.certificates:
        findings.add(path, f"the target {target.name} reads files; add certFile, keyFile and caFile")
    else:
        findings.add(path, f"the target {target.name} reads no files; add secretName")
