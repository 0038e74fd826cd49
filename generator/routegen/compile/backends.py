"""The backends' part of the plan."""

from __future__ import annotations

from routegen.common.addresses import authority, host_port
from routegen.common.positions import Path
from routegen.compile.bodies import check_models, renames
from routegen.compile.mirrors import compile_mirror
from routegen.compile.names import Findings
from routegen.compile.pools import check_pool, compile_pool
from routegen.compile.timeouts import first_byte
from routegen.compile.units import child_name
from routegen.compile.upstream_tls import check_certificates, check_tls_sources, compile_tls
from routegen.plan import Addresses, ApiKey, Backend, PoolRef, Reach, ServiceRef
from routegen.spec.backends import BackendSpec
from routegen.spec.models import Routes
from routegen.targets import Target

_SERVICE_SUFFIX = "-kserve-workload-svc"
_SERVICE_PORT = 8000
"""The name and port of the Service that KServe makes for an LLMInferenceService (v0.16 to v0.20)."""


def compile_backends(
    routes: Routes, target: Target, findings: Findings, *, deployed: bool = True
) -> tuple[Backend, ...]:
    """Every backend with its addresses resolved.

    :param deployed: ``False``: pools, keys and certificates may be what the target can't use, as this machine does.
    """
    polling = routes.spec.models.poll.enabled
    backends = tuple(_backend(name, entry, routes, polling=polling) for name, entry in routes.spec.backends.items())
    for backend in backends:
        if routes.spec.models.unknown == "reject":
            _check_models_are_known(backend, findings)
        _check(backend, routes.spec.backends[backend.name], target, findings)
        if deployed:
            _check_deployed(backend, ("spec", "backends", backend.name), target, findings)
    _check_addresses(backends, findings)
    return backends


def _backend(name: str, entry: BackendSpec, routes: Routes, *, polling: bool) -> Backend:
    reach = _reach(entry, routes.metadata.namespace)
    polled = polling and entry.poll.enabled
    return Backend(
        name=name,
        reach=reach,
        owner=entry.owned_by,
        models=tuple(entry.models),
        renames=renames(entry),
        tls=compile_tls(entry.tls),
        api_key=_api_key(entry),
        poll_urls=_poll_urls(entry, reach) if polled else (),
        first_byte=first_byte(entry, routes.spec),
        mirror=compile_mirror(entry),
    )


def _reach(entry: BackendSpec, namespace: str) -> Reach:
    if entry.service is not None:
        return ServiceRef(entry.service.name, entry.service.namespace or namespace, entry.service.port)
    if entry.llm_inference_service is not None:
        service = entry.llm_inference_service
        return ServiceRef(child_name(service.name, _SERVICE_SUFFIX), service.namespace or namespace, _SERVICE_PORT)
    if entry.inference_pool is not None:
        return compile_pool(entry.inference_pool, namespace)
    return Addresses(tuple(map(host_port, entry.endpoints or ())))


def _api_key(entry: BackendSpec) -> ApiKey | None:
    if entry.api_key is None:
        return None
    given = entry.api_key
    return ApiKey(given.secret_name, given.secret_key, given.env, given.file, given.send)


def _poll_urls(entry: BackendSpec, reach: Reach) -> tuple[str, ...]:
    """The engine's own model list, at each of its addresses; a pool's are known where the file gives them."""
    if entry.poll.url is not None:
        return (entry.poll.url,)
    match reach:
        case ServiceRef():
            places: tuple[tuple[str, int], ...] = ((reach.host, reach.port),)
        case Addresses() | PoolRef():
            places = reach.endpoints
    scheme = "https" if entry.tls is not None else "http"
    return tuple(f"{scheme}://{authority(host, port)}/v1/models" for host, port in places)


def _check_models_are_known(backend: Backend, findings: Findings) -> None:
    """A backend that serves no known model would never get a request that names one."""
    path: Path = ("spec", "backends", backend.name)
    if backend.poll_urls or backend.models:
        return
    if isinstance(backend.reach, PoolRef):
        findings.add(
            path, "nothing tells which models this pool serves; add inferencePool.endpoints, models: [...] or poll.url"
        )
    else:
        findings.add(path, "is not polled, so nothing tells which models it serves; add models: [...]")


def _check(backend: Backend, entry: BackendSpec, target: Target, findings: Findings) -> None:
    path: Path = ("spec", "backends", backend.name)
    if others := findings.names.claimed[backend.name]:
        findings.add(path, f'the name "{backend.name}" is also the owner of {", ".join(others)}: rename this backend')
    check_models((*path, "models"), entry, findings)
    findings.no_twins((*path, "endpoints"), entry.endpoints or ())
    check_certificates(backend.tls, backend.reach, (*path, "tls"), target, findings)


def _check_deployed(backend: Backend, path: Path, target: Target, findings: Findings) -> None:
    """The target can reach it; authorities and a key lie where the target, or its router, can read them."""
    if isinstance(backend.reach, PoolRef):
        check_pool(backend, backend.reach, path, target, findings)
    key, sources = backend.api_key, target.capabilities.certificates
    check_tls_sources(backend.tls, (*path, "tls"), target, findings)
    if key is not None and "files" not in sources and key.secret is None:
        findings.add((*path, "apiKey"), f"the target {target.name} reads no variables or files; add secretName")
    if key is not None and "secrets" not in sources and key.env is None and key.file is None:
        findings.add((*path, "apiKey"), f"the target {target.name} reads no Secrets; add env or file")


def _check_addresses(backends: tuple[Backend, ...], findings: Findings) -> None:
    """Two backends at one address can't be told apart by an engine or its metrics."""
    seen: dict[object, str] = {}
    for backend in backends:
        places = backend.reach.endpoints if isinstance(backend.reach, Addresses) else (backend.reach,)
        for address in places:
            first = seen.setdefault(address, backend.name)
            if first != backend.name:
                findings.add(
                    ("spec", "backends", backend.name), f'has the same address as "{first}"; one backend is enough'
                )
