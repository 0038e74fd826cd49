"""From what the user names to the arms, slots and comparisons of a run. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from routegen.common.problems import UserError
from routegen.plan import Addresses, Backend, Plan, ServiceRef

from .design import Arm, Comparison

Way = Literal["gateway", "direct", "both"]
Mode = Literal["solo", "together", "interference"]


@dataclass(frozen=True, slots=True)
class Layout:
    """What is measured, in which groups, and what is asked."""

    arms: tuple[Arm, ...]
    slots: tuple[tuple[str, ...], ...]
    comparisons: tuple[Comparison, ...]


def from_urls(urls: Mapping[str, str], model: str) -> list[Arm]:
    """Arms that go straight to the engines at these addresses."""
    return [
        Arm(name=name, engine=name, url=url, model=model, via="direct", engine_url=url) for name, url in urls.items()
    ]


def from_plan(
    plan: Plan, names: Sequence[str], model: str, *, way: Way, gateway: str | None, urls: Mapping[str, str]
) -> list[Arm]:
    """Arms for the backends called ``names`` (all of the plan's where there are none).

    :param urls: where an engine is reached directly, in place of the plan's address.
    :raises UserError: a name is unknown, or a way to an engine is missing.
    """
    known = [backend.name for backend in plan.backends]
    for name in (*names, *urls):
        if name not in known:
            raise UserError(f'unknown backend "{name}"; known: {", ".join(known)}')
    if way != "direct" and gateway is None:
        raise UserError("name the gateway's address: --gateway http://HOST:PORT (or measure --way direct)")
    arms = []
    for backend in plan.backends:
        if names and backend.name not in names:
            continue
        if way != "direct" and gateway is not None:
            arms.append(
                Arm(
                    name=backend.name,
                    engine=backend.name,
                    url=gateway,
                    model=model,
                    via="gateway",
                    inference_server=backend.name,
                    routing_header=plan.routing_header,
                    engine_url=urls.get(backend.name) or _address_if_any(backend),
                )
            )
        if way != "gateway":
            name = f"{backend.name} direct" if way == "both" else backend.name
            url = urls.get(backend.name) or address(backend)
            arms.append(Arm(name=name, engine=backend.name, url=url, model=model, via="direct", engine_url=url))
    return arms


def address(backend: Backend) -> str:
    """Where the plan says that a backend is.

    :raises UserError: it has no address of its own.
    """
    match backend.reach:
        case ServiceRef() as service:
            host, port = service.host, service.port
        case Addresses(endpoints=((host, port), *_)):
            pass
        case _:
            raise UserError(
                f'backend "{backend.name}" has no address of its own; say where one of its engines is: '
                f"--url {backend.name}=http://HOST:PORT"
            )
    scheme = "http" if backend.tls is None else "https"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _address_if_any(backend: Backend) -> str | None:
    try:
        return address(backend)
    except UserError:
        return None  # an arm through the gateway works without it


def lay_out(arms: Sequence[Arm], *, mode: Mode, control: bool, cache: str) -> Layout:
    """Group ``arms`` into slots and say what is compared; engines are compared with the first.

    :raises UserError: nothing could be compared, or the cache policy would make the comparison wrong.
    """
    if mode == "together" and control:
        raise UserError("the A/A control needs arms that are measured one at a time: --mode solo or interference")
    solo = [] if mode == "together" else list(arms)
    repeated = [msgspec.structs.replace(arms[0], name=f"{arms[0].name} again", repeats=arms[0].name)] if control else []
    joined = [] if mode == "solo" else [_together(arm, mode) for arm in arms]
    everything = (*solo, *repeated, *joined)
    if taken := [name for name, count in Counter(arm.name for arm in everything).items() if count > 1]:
        raise UserError(f'"{taken[0]}" is what the bench calls another arm; give that engine another name')
    comparisons = [
        *_engines(solo),
        *_engines(joined),
        *(Comparison(base=two.name, other=one.name, question="overhead") for one, two in _ways(solo or joined)),
        *(
            Comparison(base=alone.name, other=loaded.name, question="interference")
            for alone, loaded in zip(solo, joined, strict=False)
        ),
        *(Comparison(base=arm.repeats or "", other=arm.name, question="control") for arm in repeated),
    ]
    if not comparisons:
        raise UserError(
            f'"{arms[0].name}" alone can\'t be compared with anything: name a second engine, or measure --way both, '
            "or ask for the noise floor with --control"
        )
    shared = sorted({one.engine for one in everything if sum(one.engine == arm.engine for arm in everything) > 1})
    if cache == "as-is" and shared:
        raise UserError(
            f"--cache as-is would let one arm find the prompts of another in the cache of {', '.join(shared)}; "
            "use --cache cold or warm"
        )
    groups = [[arm.name for arm in joined if arm.via == via] for via in ("gateway", "direct")]
    slots = [(arm.name,) for arm in (*solo, *repeated)] + [tuple(group) for group in groups if group]
    return Layout(everything, tuple(slots), tuple(comparisons))


def _together(arm: Arm, mode: Mode) -> Arm:
    name = arm.name if mode == "together" else f"{arm.name} together"
    return msgspec.structs.replace(arm, name=name, together=True)


def _engines(arms: Sequence[Arm]) -> Iterable[Comparison]:
    """Each way's engines against the first one on that way."""
    for via in ("gateway", "direct"):
        same = [arm for arm in arms if arm.via == via]
        for arm in same[1:]:
            yield Comparison(base=same[0].name, other=arm.name, question="engines")


def _ways(arms: Sequence[Arm]) -> Iterable[tuple[Arm, Arm]]:
    """Each engine's arm through the gateway beside its direct one."""
    for arm in arms:
        for twin in arms:
            if arm.engine == twin.engine and (arm.via, twin.via) == ("gateway", "direct"):
                yield arm, twin
