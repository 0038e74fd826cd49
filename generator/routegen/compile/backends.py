"""The backends' part of the plan."""

from __future__ import annotations

from routegen.compile.names import Findings
from routegen.compile.units import authority, child_name, host_port
from routegen.plan import Addresses, Backend, PoolRef, Reach, ServiceRef, UpstreamTLS
from routegen.positions import Path
from routegen.spec.backends import BackendSpec
from routegen.spec.models import Routes

_SERVICE_SUFFIX = "-kserve-workload-svc"
_SERVICE_PORT = 8000
"""The name and port of the Service that KServe makes for an LLMInferenceService (v0.16 to v0.20)."""


def compile_backends(routes: Routes, target: str, findings: Findings) -> tuple[Backend, ...]:
    """Every backend with its addresses resolved."""
    polling = routes.spec.models.poll.enabled
    backends = tuple(
        _backend(name, entry, routes.metadata.namespace, polling=polling)
        for name, entry in routes.spec.backends.items()
    )
    for backend in backends:
        _check(backend, routes.spec.backends[backend.name], target, findings)
    _check_addresses(backends, findings)
    return backends


def _backend(name: str, entry: BackendSpec, namespace: str, *, polling: bool) -> Backend:
    reach = _reach(entry, namespace)
    polled = polling and entry.poll.enabled
    return Backend(
        name=name,
        reach=reach,
        owner=entry.owned_by,
        models=tuple(entry.models),
        tls=_tls(entry),
        poll_url=(entry.poll.url or _models_url(reach, tls=entry.tls is not None)) if polled else None,
    )


def _reach(entry: BackendSpec, namespace: str) -> Reach:
    if entry.service is not None:
        return ServiceRef(entry.service.name, entry.service.namespace or namespace, entry.service.port)
    if entry.llm_inference_service is not None:
        service = entry.llm_inference_service
        return ServiceRef(child_name(service.name, _SERVICE_SUFFIX), service.namespace or namespace, _SERVICE_PORT)
    if entry.inference_pool is not None:
        return PoolRef(entry.inference_pool.name, entry.inference_pool.namespace or namespace)
    return Addresses(tuple(map(host_port, entry.endpoints or ())))


def _tls(entry: BackendSpec) -> UpstreamTLS | None:
    if entry.tls is None:
        return None
    return UpstreamTLS(
        server_name=entry.tls.server_name,
        ca_file=entry.tls.ca_file,
        ca_config_map=entry.tls.ca_config_map,
        verify=not entry.tls.insecure_skip_verify,
    )


def _models_url(reach: Reach, *, tls: bool) -> str | None:
    """The engine's own model list, at its first address; a pool has none that could be asked."""
    match reach:
        case ServiceRef():
            address = authority(reach.host, reach.port)
        case Addresses():
            address = authority(*reach.endpoints[0])
        case PoolRef():
            return None
    return f"{'https' if tls else 'http'}://{address}/v1/models"


def _check(backend: Backend, entry: BackendSpec, target: str, findings: Findings) -> None:
    path: Path = ("spec", "backends", backend.name)
    others = [name for name in findings.names.bearing.get(backend.name, ()) if name != backend.name]
    if others:
        findings.add(path, f'the name "{backend.name}" is also the owner of {", ".join(others)}: rename this backend')
    if backend.poll_url is None and not backend.models:
        if isinstance(backend.reach, PoolRef):
            findings.add(path, "an InferencePool can't be asked which models it serves; add models: [...] or poll.url")
        else:
            findings.add(path, "is not polled, so nothing tells which models it serves; add models: [...]")
    for index, model in enumerate(backend.models):
        if model in backend.models[:index]:
            findings.add((*path, "models", index), f'"{model}" stands here twice')
    if target == "envoy":
        if isinstance(backend.reach, PoolRef):
            findings.add(
                (*path, "inferencePool"), "the target envoy can't reach an InferencePool; use service or endpoints"
            )
        if entry.tls is not None and entry.tls.ca_config_map is not None:
            findings.add((*path, "tls", "caConfigMap"), "the target envoy reads files; use caFile")
    elif entry.tls is not None and entry.tls.ca_file is not None:
        findings.add((*path, "tls", "caFile"), f"the target {target} reads no files; use caConfigMap")


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
        if len(set(places)) < len(places):
            findings.add(("spec", "backends", backend.name, "endpoints"), "holds an address twice")
