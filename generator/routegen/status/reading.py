"""What is looked at in a cluster: lists of the kinds that are rendered, and each router's own account."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from routegen.cluster import RefusedError, UnknownKindError
from routegen.common.asking import Answer, Question
from routegen.common.rbac import Right
from routegen.emit.kubernetes.objects import ROUTER, selector_labels
from routegen.emit.kubernetes.router_deployment import HTTP_PORT
from routegen.plan import Plan
from routegen.status.deployment import pods, ready
from routegen.targets import Rendered, Target

Object = Mapping[str, Any]
GATEWAY_API: Final = "gateway.networking.k8s.io/v1"


class Source(Protocol):
    """A connection to a cluster (:class:`routegen.cluster.Cluster`)."""

    def list(self, version: str, kind: str, namespace: str | None = None) -> list[dict[str, Any]]:
        """The objects of one kind.

        :raises UnknownKindError: the cluster doesn't know the kind.
        :raises RefusedError: it may not be read, or the cluster doesn't answer.
        """

    def ask(self, question: Question) -> Answer:
        """What a pod answers, whatever the status.

        :raises RefusedError: it can't be asked.
        """

    def ask_pod(self, namespace: str, pod: str, path: str, *, port: int) -> bytes:
        """What a pod answers to a GET.

        :raises RefusedError: it can't be asked.
        """


@dataclass
class Live:
    """What was found."""

    objects: dict[tuple[str, str], list[Object]] = field(default_factory=dict)
    """(kind, namespace) -> all of them there, ours and others'; namespace empty where the kind has none."""
    unknown: set[str] = field(default_factory=set)
    """Kinds that the cluster doesn't know."""
    refused: dict[tuple[str, str], str] = field(default_factory=dict)
    """(kind, namespace) -> why they couldn't be read."""
    answers: dict[Question, Answer] = field(default_factory=dict)
    """What the target asked of its gateway's pods."""
    unasked: dict[Question, str] = field(default_factory=dict)
    """What it couldn't, and why."""
    registries: dict[str, bytes | str] = field(default_factory=dict)
    """Router pod -> its document, or why there is none."""

    def find(self, kind: str, namespace: str, name: str) -> Object | None:
        """One object."""
        listed = self.objects.get((kind, namespace), [])
        return next((one for one in listed if one["metadata"]["name"] == name), None)


def read(source: Source, plan: Plan, target: Target, documents: Sequence[Rendered]) -> Live:
    """Look at everything."""
    live = Live()
    for version, kind, namespace in listed(plan, target, documents):
        try:
            found = source.list(version, kind, namespace)
        except UnknownKindError:
            live.unknown.add(kind)
        except RefusedError as error:
            live.refused[kind, namespace or ""] = str(error)
        else:
            live.objects[kind, namespace or ""] = [{**one, "apiVersion": version, "kind": kind} for one in found]
    for pod in pods(live.objects.get(("Pod", plan.namespace), []), selector_labels(plan, ROUTER)):
        if ready(pod):
            name = pod["metadata"]["name"]
            live.registries[name] = _registry(source, plan.namespace, name)
    for question in target.questions(plan, live.objects):
        try:
            live.answers[question] = source.ask(question)
        except RefusedError as error:
            live.unasked[question] = str(error)
    return live


def listed(plan: Plan, target: Target, documents: Sequence[Rendered]) -> list[tuple[str, str, str | None]]:
    """What is listed: (version, kind, namespace), each once."""
    return list(dict.fromkeys([*_rendered(documents), *_beside(plan), *target.also_read(plan)]))


def rights(plan: Plan, target: Target, documents: Sequence[Rendered]) -> tuple[list[Right], list[str | None]]:
    """What :func:`read` needs: what it lists, and the namespaces whose pods it asks, which are those that it lists."""
    everything = listed(plan, target, documents)
    return [Right(*one) for one in everything], [namespace for _, kind, namespace in everything if kind == "Pod"]


def _registry(source: Source, namespace: str, pod: str) -> bytes | str:
    try:
        return source.ask_pod(namespace, pod, "/registry", port=HTTP_PORT)
    except RefusedError as error:
        return str(error)


def _rendered(documents: Iterable[Rendered]) -> Iterable[tuple[str, str, str | None]]:
    for one in documents:
        yield one.document["apiVersion"], one.kind, one.document["metadata"]["namespace"]


def _beside(plan: Plan) -> Iterable[tuple[str, str, str | None]]:
    yield GATEWAY_API, "GatewayClass", None
    yield GATEWAY_API, "Gateway", plan.gateway.namespace
    yield "v1", "Pod", plan.namespace
