"""TLS to what stands behind the gateway: what it means, and what its target can't do of it."""

from __future__ import annotations

from routegen.common.addresses import is_ip
from routegen.common.positions import Path
from routegen.compile.names import Findings
from routegen.plan import Addresses, Picker, PoolRef, Reach, UpstreamTLS
from routegen.spec.upstream_tls import UpstreamTLSSpec
from routegen.targets import Target


def compile_tls(given: UpstreamTLSSpec | None) -> UpstreamTLS | None:
    """The same, for the plan."""
    if given is None:
        return None
    return UpstreamTLS(
        server_name=given.server_name,
        ca_file=given.ca_file,
        ca_config_map=given.ca_config_map,
        verify=not given.insecure_skip_verify,
    )


def check_certificates(
    tls: UpstreamTLS | None, reach: Reach | Picker, path: Path, target: Target, findings: Findings
) -> None:
    """There must be a name to verify."""
    if tls is None or not tls.verify or tls.server_name is not None or target.capabilities.verifies_addresses:
        return
    hosts = dict(reach.endpoints) if isinstance(reach, Addresses | PoolRef | Picker) else {}
    if nameless := next(filter(is_ip, hosts), None):
        findings.add(path, f"needs serverName: no certificate can be verified for {nameless}")


def check_tls_sources(tls: UpstreamTLS | None, path: Path, target: Target, findings: Findings) -> None:
    """Authorities must lie where the target can read them."""
    if tls is None:
        return
    sources = target.capabilities.certificates
    if "files" not in sources and tls.ca_file is not None and tls.ca_config_map is None:
        findings.add((*path, "caFile"), f"the target {target.name} reads no files; add caConfigMap")
    if "secrets" not in sources and tls.ca_config_map is not None and tls.ca_file is None:
        findings.add((*path, "caConfigMap"), f"the target {target.name} reads files; add caFile")
