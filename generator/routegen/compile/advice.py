"""What is allowed in a routes.yaml and may still surprise, whatever the target; none of it is an error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from routegen.common.problems import Remark
from routegen.plan import Plan
from routegen_router.rules.table import distributions

FAMILIES: Final = {
    "vllm": "vllm",
    "sglang": "sglang",
    "tensorrt-llm": "tensorrt_llm",
    "trtllm": "tensorrt_llm",
    "lmdeploy": "lmdeploy",
    "llama-cpp": "llamacpp",
    "llamacpp": "llamacpp",
}
"""A backend's name that is an engine's -> the ``owned_by`` in that engine's own list of models."""


def advice(plan: Plan) -> Iterator[Remark]:
    """What the person who wrote ``plan``'s routes.yaml should know of it."""
    for backend in plan.backends:
        name, owner = backend.name, FAMILIES.get(backend.name)
        if backend.owner is None and owner is not None:
            message = (
                f"is called like an engine and has no owner; set ownedBy: {owner}. "
                f'In requests and rules "{name}" means this backend alone, whatever other engines call themselves'
            )
            yield Remark(("spec", "backends", name), message)
    for index, rule in enumerate(plan.rules):
        for needed in distributions([rule]):
            message = (
                f"is a rule of {needed}: a router without it refuses this configuration, so its image "
                "(spec.router.image) must hold it, as docs/plugins.md shows"
            )
            yield Remark(("spec", "rules", index), message)
    yield from _keyless(plan)


def claimed(backend: str, owner: str) -> str:
    """Said where the engine of ``backend`` tells an owner that is another backend's name."""
    return (
        f'backend {backend}: its engine says owned_by "{owner}", but "{owner}" is another backend\'s name and means '
        f"that one alone; give {backend} an ownedBy of its own"
    )


def claims(owners: Iterable[tuple[str, str | None]]) -> Iterator[str]:
    """:func:`claimed` for each of these (backend, owner) whose owner is another backend's name."""
    told = dict(owners)
    for name, owner in told.items():
        if owner is not None and owner != name and owner in told:
            yield claimed(name, owner)


def _keyless(plan: Plan) -> Iterator[Remark]:
    """Only the router puts an engine's key on a request, and not every request asks it."""
    sent = {backend.name for backend in plan.backends if backend.api_key is not None and backend.api_key.send}
    for index, entry in enumerate(plan.passthrough):
        if entry.backend in sent:
            message = (
                f"the router isn't asked here, so {entry.backend} gets the client's own authorization, not its key"
            )
            yield Remark(("spec", "passthrough", index), message)
    if plan.router.failure_backend in sent:
        message = f"without the router {plan.router.failure_backend} gets the client's own authorization, not its key"
        yield Remark(("spec", "router", "failure"), message)
