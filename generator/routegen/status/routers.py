"""What a router pod knows of the engines: its ``/registry``, asked for through the API server."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from routegen.common.problems import Trouble
from routegen.plan import Plan
from routegen.status.report import RouterItem
from routegen_router.fetch import KINDS
from routegen_router.status import BackendStatus, RegistryStatus, read_status


def read(pod: str, document: bytes, plan: Plan) -> RouterItem:
    """What its document says."""
    try:
        status = read_status(document)
    except msgspec.MsgspecError:
        return RouterItem(pod, (Trouble("its /registry isn't a router's", "is its image routegen's router?"),))
    return RouterItem(pod, tuple(_troubles(status, plan)), tuple(_sentence(one) for one in status.backends))


def _troubles(status: RegistryStatus, plan: Plan) -> Iterator[Trouble]:
    known, wanted = {one.name for one in status.backends}, {backend.name for backend in plan.backends}
    if known != wanted:
        differ = ", ".join(sorted(known ^ wanted))
        yield Trouble(f"it runs another routes.yaml (backends that differ: {differ})", "wait for the rollout, or apply")
    for one in status.backends:
        if one.error is not None:
            yield Trouble(
                f"engine of {one.name}: {KINDS.get(one.error, one.error)}{f' ({one.detail})' if one.detail else ''}",
                "gets nothing by chance" if not one.alive else "is it meant to be so?",
            )


def _sentence(one: BackendStatus) -> str:
    count = len(one.polled.models) if one.polled is not None else len(one.configured)
    models = f"{count} model{'' if count == 1 else 's'}"
    if one.polled is not None and one.age_seconds is not None:
        told = f"{models}, told {one.age_seconds:.0f} s ago"
    elif one.source == "static":
        told = f"{models}, by routes.yaml"
    else:
        told = "has told nothing"
    return f"{one.name}: {told}{f', {KINDS.get(one.error, one.error)}' if one.error else ''}"
