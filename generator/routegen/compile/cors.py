"""Which web pages may call the gateway."""

from __future__ import annotations

from routegen.common.positions import Path
from routegen.compile.names import Findings
from routegen.compile.units import seconds
from routegen.plan import Cors
from routegen.spec.models import Spec
from routegen.targets import Target

_PATH: Path = ("spec", "cors")


def compile_cors(spec: Spec, target: Target, findings: Findings, *, deployed: bool) -> Cors | None:
    """The policy; ``None``: no page of another origin may read an answer."""
    given = spec.cors
    if given is None:
        return None
    if deployed and not target.capabilities.cors:
        findings.add(_PATH, f"the target {target.name} {target.capabilities.no_cors}")
    if given.allow_credentials:
        for key, values in (("allowOrigins", given.allow_origins), ("allowHeaders", given.allow_headers)):
            if "*" in values:
                findings.add((*_PATH, key), 'with allowCredentials "*" means nothing to browsers; name them')
    findings.no_twins((*_PATH, "allowOrigins"), given.allow_origins)
    exposed = (spec.routing_header.lower(), "x-request-id", "retry-after", *given.expose_headers)
    return Cors(
        allow_origins=tuple(given.allow_origins),
        allow_headers=tuple(given.allow_headers),
        expose_headers=tuple(dict.fromkeys(exposed)),
        allow_credentials=given.allow_credentials,
        max_age=seconds(given.max_age),
    )
