"""Whether Istio does what the EnvoyFilter says, which no object's status tells.

Seen through the API server alone: what istiod's and the proxies' pods tell of themselves on the ports that metrics are
read from (Istio, "Application requirements"), and how the proxy answers for a path that the router serves. Not seen:
a proxy's whole configuration, since its ``/config_dump`` is open to its own pod alone; and what it refused of routes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from routegen.common.asking import Answer, Answers, Question
from routegen.common.problems import Trouble
from routegen.plan import MODELS_PATH, Plan

Objects = Mapping[tuple[str, str], Sequence[Mapping[str, Any]]]

SYSTEM: Final = "istio-system"
"""Where istiod is looked for."""
OLDEST: Final = (1, 31)
"""An older istiod drops fields of the EnvoyFilter in silence."""
_CONTROLLER: Final = "istio.io/gateway-controller"
_OWNER: Final = "gateway.networking.k8s.io/gateway-name"
_ISTIOD_METRICS: Final = 15014
_PROXY_METRICS: Final = 15090
_METRICS: Final = {_ISTIOD_METRICS: "/metrics", _PROXY_METRICS: "/stats/prometheus"}
_BUILD: Final = re.compile(rb'^istio_build\{[^}]*component="pilot"[^}]*tag="(\d+)\.(\d+)', re.MULTILINE)
_REFUSED: Final = re.compile(
    rb"^envoy_(?:listener_manager_lds|cluster_manager_cds)_update_rejected(?:\{[^}]*\})? ([0-9.]+)", re.MULTILINE
)
_LOG: Final = f"`kubectl -n {SYSTEM} logs deploy/istiod | grep 'ACK ERROR'`"
_DENIED: Final = (401, 403)


def read(plan: Plan) -> Iterator[tuple[str, str, str | None]]:
    """What has to be listed: (version, kind, namespace)."""
    yield "v1", "Pod", plan.gateway.namespace
    yield "v1", "Pod", SYSTEM


def questions(plan: Plan, objects: Objects) -> Iterator[Question]:
    """What istiod and the Gateway's proxies are asked."""
    for pod in _istiods(objects):
        yield _metrics(pod, _ISTIOD_METRICS, "`istioctl version` says which it is")
    for pod in _proxies(plan, objects):
        yield _metrics(pod, _PROXY_METRICS, f"{_LOG} must print nothing")
        if listener := _listener(plan, objects):
            yield _models(plan, pod, listener)


def troubles(plan: Plan, objects: Objects, answers: Answers) -> Iterator[Trouble]:
    """What is wrong that no object's status tells."""
    yield from _class(plan, objects)
    yield from _messages(objects)
    if ("Pod", plan.gateway.namespace) in objects and not _proxies(plan, objects):
        yield Trouble(
            f"no ready proxy bears the label {_OWNER}: {plan.gateway.name}, by which the EnvoyFilter finds it",
            "let istiod make the Gateway's Deployment (no spec.addresses), and look at its pods",
        )
    for question, answer in answers.items():
        if question.port == _ISTIOD_METRICS:
            yield from _version(question, answer)
        elif question.port == _PROXY_METRICS:
            yield from _refused(question, answer)
        else:
            yield from _answered(question, answer)


def unseen(objects: Objects, answers: Answers) -> Iterator[str]:
    """What couldn't be looked at, in sentences."""
    if ("Pod", SYSTEM) in objects and not _istiods(objects):
        yield f"istiod: no ready pod with the label app=istiod in {SYSTEM}; `istioctl version` says which it is"
    for question, answer in answers.items():
        if question.port in _METRICS:
            why = ", closed to others" if answer.status in _DENIED else " and no metrics"
            seen = answer.status == HTTPStatus.OK
        else:
            why, seen = " by a policy in front of the router", answer.status not in _DENIED
        if not seen:
            yield f"{question.place}: {answer.status}{why}; {question.instead}"


def _metrics(pod: Mapping[str, Any], port: int, instead: str) -> Question:
    metadata = pod["metadata"]
    return Question(metadata["namespace"], metadata["name"], port, _METRICS[port], instead)


def _models(plan: Plan, pod: Mapping[str, Any], listener: Mapping[str, Any]) -> Question:
    host = (*plan.gateway.hostnames, listener.get("hostname") or "")[0].replace("*", "routegen-status")
    metadata = pod["metadata"]
    instead = f"`curl -i http://ADDRESS{MODELS_PATH}` at the Gateway must show the models"
    scheme = "http" if listener["protocol"] == "HTTP" else "https"
    return Question(metadata["namespace"], metadata["name"], listener["port"], MODELS_PATH, instead, scheme, host)


def _listener(plan: Plan, objects: Objects) -> Mapping[str, Any] | None:
    """The Gateway's first listener of plain HTTP, else of HTTPS."""
    for gateway in objects.get(("Gateway", plan.gateway.namespace), ()):
        if gateway["metadata"]["name"] == plan.gateway.name:
            listeners = [one for one in gateway["spec"]["listeners"] if one["protocol"] in {"HTTP", "HTTPS"}]
            return min(listeners, key=lambda one: bool(one["protocol"] != "HTTP"), default=None)
    return None


def _istiods(objects: Objects) -> list[Mapping[str, Any]]:
    return [one for one in _ready(objects, SYSTEM) if _label(one, "app") == "istiod"]


def _proxies(plan: Plan, objects: Objects) -> list[Mapping[str, Any]]:
    return [one for one in _ready(objects, plan.gateway.namespace) if _label(one, _OWNER) == plan.gateway.name]


def _ready(objects: Objects, namespace: str) -> Iterator[Mapping[str, Any]]:
    for pod in objects.get(("Pod", namespace), ()):
        conditions = (pod.get("status") or {}).get("conditions") or []
        if any((one["type"], one["status"]) == ("Ready", "True") for one in conditions):
            yield pod


def _label(found: Mapping[str, Any], key: str) -> str | None:
    value: str | None = (found["metadata"].get("labels") or {}).get(key)
    return value


def _class(plan: Plan, objects: Objects) -> Iterator[Trouble]:
    """The Gateway's class is somebody else's."""
    gateways = objects.get(("Gateway", plan.gateway.namespace), ())
    named = {
        one["spec"].get("gatewayClassName") for one in gateways if one["metadata"]["name"] == plan.gateway.name
    } or {plan.gateway.class_name}
    for one in objects.get(("GatewayClass", ""), ()):
        controller = (one.get("spec") or {}).get("controllerName")
        if one["metadata"]["name"] in named and controller != _CONTROLLER:
            yield Trouble(
                f"GatewayClass {one['metadata']['name']} is {controller}'s, which reads no EnvoyFilter",
                f"name a class of {_CONTROLLER} (spec.gateway.className), or render for the gateway that it is",
            )


def _messages(objects: Objects) -> Iterator[Trouble]:
    """What istiod says of its own kinds, where its analysis is on (``status.validationMessages``)."""
    for (kind, _), listed in objects.items():
        for one in listed if kind in {"EnvoyFilter", "DestinationRule", "ServiceEntry"} else ():
            ours = _label(one, "app.kubernetes.io/managed-by") == "routegen"
            for message in ((one.get("status") or {}).get("validationMessages") or []) if ours else ():
                said = message.get("type") or {}
                yield Trouble(
                    f"istiod says of {kind} {one['metadata']['name']}: {said.get('name')} ({said.get('code')})",
                    f"`kubectl describe` shows it, and {message.get('documentationUrl') or 'Istio'} explains it",
                )


def _version(question: Question, answer: Answer) -> Iterator[Trouble]:
    if (found := _BUILD.search(answer.body)) and (int(found[1]), int(found[2])) < OLDEST:
        yield Trouble(
            f"{question.pod} is istiod {found[1].decode()}.{found[2].decode()}, which drops parts of the EnvoyFilter"
            " without a word",
            f"take Istio {'.'.join(map(str, OLDEST))} or newer",
        )


def _refused(question: Question, answer: Answer) -> Iterator[Trouble]:
    """A count since the proxy's start: it doesn't say whether what was refused has been mended."""
    if count := sum(float(one) for one in _REFUSED.findall(answer.body)):
        yield Trouble(
            f"the Envoy of {question.pod} has refused {count:.0f} of istiod's configurations since it started; while"
            " that holds, it goes on with its old one",
            f"{_LOG} says why; if it is mended, restart the proxies, and the count is 0",
        )


def _answered(question: Question, answer: Answer) -> Iterator[Trouble]:
    """How the proxy answers for the list of models, which only the router has."""
    if answer.status in _DENIED:
        return  # by a policy of the Gateway's, in front of the router
    asked = f"GET {question.path} at {question.pod} is {answer.status}"
    code = _code(answer.body)
    if code == "route_not_set":
        yield Trouble(
            f"{asked} {code}: the router's filter isn't in the chain",
            f"{_LOG} says whether it was refused; with a pool in the file, is its picker's filter there?",
        )
    elif code == "router_unavailable":
        yield Trouble(f"{asked} {code}: this proxy reaches no router", "what the routers below say comes first")
    elif code is None:
        yield Trouble(
            f"{asked}, and not in the router's words: the EnvoyFilter has no effect there, and a client's own"
            " routing header chooses the engine",
            f"{_LOG} says whether it was refused; `istioctl proxy-status` whether the proxy has it",
        )


def _code(body: bytes) -> str | None:
    """The error's code, ``""`` for a list of models, ``None`` for what the router wouldn't say."""
    try:
        told = json.loads(body)
    except ValueError:
        return None
    if not isinstance(told, dict):
        return None
    if told.get("object") == "list":
        return ""
    error = told.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) else None
