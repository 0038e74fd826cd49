"""From what the user names to the arms of a run: the engines, and the ways to them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from itertools import combinations
from typing import Literal
from urllib.parse import urlsplit

from routegen.common.problems import UserError
from routegen.common.words import choices
from routegen.emit.router_config import key_of
from routegen.plan import Addresses, Backend, Plan, PoolRef, ServiceRef
from routegen_router.backend import Key

from .design import Arm

Way = Literal["gateway", "direct", "both"]


def from_urls(
    urls: Mapping[str, str],
    model: str = "",
    models: Mapping[str, str] | None = None,
    keys: Mapping[str, Key] | None = None,
) -> list[Arm]:
    """Arms that go straight to the engines at these addresses.

    :param model: what they serve; empty where that has still to be asked.
    :param models: name -> model, of engines that have one of their own.
    :param keys: name -> where its API key lies.
    :raises UserError: two of them are one engine.
    """
    own, keyed = models or {}, keys or {}
    require_two_engines({name: [url] for name, url in urls.items()}, own)
    return [
        Arm(
            name=name,
            engine=name,
            url=url,
            model=own.get(name, model),
            via="direct",
            engine_url=url,
            key=keyed.get(name),
        )
        for name, url in urls.items()
    ]


def from_plan(
    plan: Plan,
    names: Sequence[str],
    model: str = "",
    *,
    way: Way,
    gateway: str | None,
    urls: Mapping[str, str],
    models: Mapping[str, str] | None = None,
    keys: Mapping[str, Key] | None = None,
) -> list[Arm]:
    """Arms for the backends called ``names`` (all of the plan's where there are none).

    :param model: as :func:`from_urls` has it, and ``models``.
    :param urls: where an engine is reached directly, in place of the plan's address.
    :param keys: where an engine's API key lies, in place of what the plan says.
    :raises UserError: a name is unknown, a way to an engine is missing, or two of them are one engine.
    """
    own, keyed = models or {}, keys or {}
    known = [backend.name for backend in plan.backends]
    for name in (*names, *urls, *own, *keyed):
        if name not in known:
            raise UserError(f'unknown backend "{name}"; {choices(name, known)}')
    if way != "direct" and gateway is None:
        raise UserError("name the gateway's address: --gateway http://HOST:PORT (or measure --way direct)")
    chosen = [backend for backend in plan.backends if not names or backend.name in names]
    engines = {one.name: [urls[one.name]] if one.name in urls else addresses(one) for one in chosen}
    require_two_engines(engines, own)
    if way != "direct":
        _require_no_copies(chosen)
    arms = []
    for backend in chosen:
        key = _key(backend, keyed.get(backend.name))
        if way != "direct" and gateway is not None:
            arms.append(
                Arm(
                    name=backend.name,
                    engine=backend.name,
                    url=gateway,
                    model=own.get(backend.name, model),
                    via="gateway",
                    inference_server=backend.name,
                    routing_header=plan.routing_header,
                    engine_url=next(iter(engines[backend.name]), None),
                    key=key,
                    engine_names=dict(backend.renames),
                )
            )
        if way != "gateway":
            name = f"{backend.name} direct" if way == "both" else backend.name
            url = urls.get(backend.name) or address(backend)
            served = own.get(backend.name, model)
            arms.append(
                Arm(
                    name=name,
                    engine=backend.name,
                    url=url,
                    model=served,
                    via="direct",
                    engine_url=url,
                    key=key,
                    engine_names=dict(backend.renames),
                )
            )
    return arms


def _require_no_copies(measured: Sequence[Backend]) -> None:
    """Refuse engines whose requests the gateway copies.

    :raises UserError: one is.
    """
    for backend in measured:
        if backend.mirror is not None:
            raise UserError(
                f'the gateway copies requests for "{backend.name}" to "{backend.mirror.to}" (mirror): '
                "that engine would do the other's work as well, and the gateway more for one than for the other; take "
                "the mirror out of the gateway's configuration and the file, or measure --way direct"
            )


def _key(backend: Backend, given: Key | None) -> Key | None:
    """Where the engine's key lies; a Secret isn't read here."""
    sent = backend.api_key is not None and backend.api_key.send
    return Key(env=given.env, file=given.file, send=sent) if given is not None else key_of(backend)


def address(backend: Backend) -> str:
    """Where the plan says that a backend is; the first of several places.

    :raises UserError: it has no address of its own.
    """
    if found := addresses(backend):
        return found[0]
    raise UserError(
        f'backend "{backend.name}" has no address of its own; say where one of its engines is: '
        f"--url {backend.name}=http://HOST:PORT"
    )


def addresses(backend: Backend) -> list[str]:
    """Every place where the plan says that a backend is; none for a pool whose pods it doesn't name."""
    match backend.reach:
        case ServiceRef() as service:
            places: Sequence[tuple[str, int]] = [(service.host, service.port)]
        case Addresses() | PoolRef() as known:
            places = known.endpoints
    scheme = "http" if backend.tls is None else "https"
    return [f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}" for host, port in places]


def require_two_engines(engines: Mapping[str, Sequence[str]], models: Mapping[str, str]) -> None:
    """Refuse one engine under two names: whatever it showed would be chance.

    :param engines: name -> every address at which that engine is.
    :param models: name -> its model, where it has one of its own (an adapter beside its base is a fair question).
    :raises UserError: two of them have an address in common.
    """
    places = {name: {_place(url): url for url in urls} for name, urls in engines.items()}
    for (one, mine), (two, theirs) in combinations(places.items(), 2):
        shared = mine.keys() & theirs.keys()
        if shared and models.get(one) == models.get(two):
            raise UserError(
                f'"{one}" and "{two}" are one engine: both are at {mine[min(shared)]}; name another address, '
                "or measure an engine against itself with --control"
            )


def _place(url: str) -> tuple[str, int]:
    """Host and port, the same however they are written; this machine's own names are one."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    try:
        found = ip_address(host)
    except ValueError:
        return "localhost" if host.endswith(".localhost") else host, _port(parts.scheme, parts.port)
    own = found.is_loopback or found.is_unspecified
    return "localhost" if own else found.compressed, _port(parts.scheme, parts.port)


def _port(scheme: str, port: int | None) -> int:
    return port or {"http": 80, "https": 443}[scheme]
