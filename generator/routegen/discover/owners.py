"""Who owns an engine, as a cluster tells it: the first hit wins, and it is said which one it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from .things import Thing, is_ready

LABEL: Final = "owned_by"
KNOWN: Final = ("llm-d.ai/engine-type", "inference.networking.k8s.io/engine-type")
"""Labels of llm-d, and of the Gateway API Inference Extension before it, that name the engine."""

Ask = Callable[[Thing], Sequence[str]]
"""Asks a pod for the owners in its list of models; each once, none where it tells nothing."""


class DisagreementError(Exception):
    """An object whose pods have several owners has none itself; the message names them."""


@dataclass(frozen=True)
class Owner:
    """An owner, and where it stands."""

    name: str | None
    told: str
    """Where the owner was found, or that there is none; for a comment."""


def owner_of(thing: Thing, pods: Sequence[Thing], label: str, ask: Ask | None) -> Owner:
    """The owner of what ``thing`` leads to.

    A missing label is no owner: endpoint pickers take such pods for vLLM, which would be a guess here.

    :param label: the label's key that this cluster uses.
    :param ask: how a pod is asked for its models; ``None``: none is asked.
    :raises DisagreementError: the pods have different owners.
    """
    keys = tuple(dict.fromkeys((label, *KNOWN)))
    if (found := _labelled(thing, keys)) is not None:
        return Owner(found[1], f"label {found[0]} of the {thing.kind}")
    labelled = [(pod, hit) for pod in pods if (hit := _labelled(pod, keys)) is not None]
    if len({owner for _, (_, owner) in labelled}) > 1:
        each = ", ".join(f"{pod.name} says {owner} ({key})" for pod, (key, owner) in labelled)
        raise DisagreementError(
            f"{thing}: its pods disagree about their owner, so it has none: {each}. Requests to it can't choose an "
            "engine; give each engine an object of its own, or leave this one out with --selector"
        )
    if labelled:
        key, owner = labelled[0][1]
        some = "" if len(labelled) == len(pods) else f" ({len(labelled)} of {len(pods)})"
        return Owner(owner, f"label {key} of its pods{some}")
    return _asked(pods, ask) or Owner(None, _nothing(pods, keys, ask))


def _labelled(thing: Thing, keys: Sequence[str]) -> tuple[str, str] | None:
    """The first of these labels that it has, with its value."""
    return next(((key, thing.labels[key]) for key in keys if thing.labels.get(key)), None)


def _asked(pods: Sequence[Thing], ask: Ask | None) -> Owner | None:
    """What the first ready pod that tells something says itself."""
    for pod in pods if ask is not None else ():
        assert ask is not None
        if is_ready(pod) and (owners := ask(pod)):
            if len(owners) > 1:
                return Owner(None, f"none: pod {pod.name} lists models of several: {', '.join(owners)}")
            return Owner(owners[0], f"owned_by in the models that pod {pod.name} lists")
    return None


def _nothing(pods: Sequence[Thing], keys: Sequence[str], ask: Ask | None) -> str:
    where = f"none of its {len(pods)} pods" if pods else "it has no pods"
    hint = "no ready pod told one either" if ask is not None else "--ask-engines asks a pod"
    return f"none found: no label {', '.join(keys)} on it, {where if not pods else where + ' has one'}; {hint}"
