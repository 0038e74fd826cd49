"""The rights that reading a cluster needs, as objects to apply (Kubernetes, "Using RBAC Authorization")."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from routegen.common.text import to_yaml

_VOWELS: Final = "aeiou"


@dataclass(frozen=True, slots=True)
class Right:
    """To list one kind, and nothing that changes anything."""

    version: str
    """Such as ``apps/v1``."""
    kind: str
    namespace: str | None
    """Where; ``None``: everywhere, or of a kind that has no namespaces."""


def rbac(verb: str, rights: Iterable[Right], asks_pods: Iterable[str | None] = ()) -> str:
    """A ClusterRole for what is read everywhere and a Role for each namespace, and how they are given to somebody.

    :param verb: whose rights they are, such as ``discover``.
    :param asks_pods: where pods are asked through the API server: namespaces, or ``None`` for all.
    """
    rules: dict[str | None, list[dict[str, Any]]] = {}
    for right in dict.fromkeys(rights):
        group = right.version.rpartition("/")[0]
        rule = {"apiGroups": [group], "resources": [plural(right.kind)], "verbs": ["list"]}
        own = rules.setdefault(right.namespace, [])
        if rule not in own:  # one kind in two versions
            own.append(rule)
    for namespace in dict.fromkeys(asks_pods):
        rule = {"apiGroups": [""], "resources": ["pods/proxy"], "verbs": ["get"]}
        rules.setdefault(namespace, []).append(rule)
    name = f"routegen-{verb}"
    roles = [_role(name, namespace, rules[namespace]) for namespace in sorted(rules, key=lambda one: one or "")]
    bindings = "".join(f"#   {_binding(name, namespace)}\n" for namespace in sorted(rules, key=lambda one: one or ""))
    return f"# What `routegen {verb}` reads. To whom it is given:\n{bindings}{to_yaml(roles)}"


def plural(kind: str) -> str:
    """How a kind's resource is called in paths and rules."""
    word = kind.lower()
    if word.endswith("y") and word[-2] not in _VOWELS:
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith("s") else f"{word}s"


def _role(name: str, namespace: str | None, rules: Sequence[dict[str, Any]]) -> dict[str, Any]:
    kind = "ClusterRole" if namespace is None else "Role"
    metadata = {"name": name} if namespace is None else {"name": name, "namespace": namespace}
    version = "rbac.authorization.k8s.io/v1"
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "rules": list(rules)}


def _binding(name: str, namespace: str | None) -> str:
    made = "clusterrolebinding" if namespace is None else f"-n {namespace} rolebinding"
    flag = "clusterrole" if namespace is None else "role"
    return f"kubectl create {made} {name} --{flag}={name} --user=NAME"
