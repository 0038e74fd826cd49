"""Plan -> the router's own configuration.

Rules and the registry's settings are the same values in both. A backend isn't: the plan also holds what only gateways
need, so what the router gets of it is picked field by field.
"""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from routegen import plan as ir
from routegen.plan.router import RouterTLS
from routegen_router import config
from routegen_router.rules.table import distributions


def router_config(plan: ir.Plan) -> config.Config:
    """What the router has to know of ``plan``; :func:`routegen_router.config.dump` writes it."""
    return config.Config(
        name=f"{plan.namespace}/{plan.name}",
        routing_header=plan.routing_header,
        paths=plan.paths,
        by_headers=plan.by_headers,
        max_body_bytes=plan.max_body_bytes,
        max_inflight_bytes=plan.router.max_inflight_bytes,
        workers=plan.router.workers,
        models=plan.models,
        backends=tuple(_backend(backend) for backend in plan.backends),
        rules=plan.rules,
        tls=_tls(plan.router.tls),
        requires=distributions(plan.rules) or UNSET,
    )


def _tls(tls: RouterTLS | None) -> config.Tls | UnsetType:
    if tls is None:
        return UNSET
    return config.Tls(cert_file=tls.router.cert_file, key_file=tls.router.key_file, ca_file=tls.router.ca_file)


def _backend(backend: ir.Backend) -> config.Backend:
    return config.Backend(
        name=backend.name,
        owner=backend.owner,
        models=backend.models,
        poll=_poll(backend),
        seconds=backend.seconds,
        renames=backend.renames,
        strips=backend.strips,
        key=key_of(backend),
    )


def key_of(backend: ir.Backend) -> config.Key | None:
    """Where the router reads the key of the backend's engine."""
    key = backend.api_key
    if key is None or (key.env is None and key.file is None):  # a Secret: the deployment says where it is mounted
        return None
    return config.Key(env=key.env, file=key.file, send=key.send)


def _poll(backend: ir.Backend) -> config.Poll | None:
    if not backend.poll_urls:
        return None
    if backend.tls is None:
        return config.Poll(urls=backend.poll_urls)
    return config.Poll(
        urls=backend.poll_urls,
        server_name=backend.tls.server_name,
        ca_file=backend.tls.ca_file,
        verify=backend.tls.verify,
    )
