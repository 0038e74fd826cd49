"""The rights that reading a cluster needs, as an object to apply."""

from __future__ import annotations

from routegen.common.text import to_yaml

from .reading import VERSIONS

NAME = "routegen-discover"


def rbac(namespace: str | None, *, asks_engines: bool) -> str:
    """A Role for one namespace, or a ClusterRole: ``list`` on what is read, and nothing that changes anything.

    :param asks_engines: pods are asked for their models, too.
    """
    rules = []
    for kind in VERSIONS:
        group = VERSIONS[kind][0].rpartition("/")[0]
        rules.append({"apiGroups": [group], "resources": [f"{kind.lower()}s"], "verbs": ["list"]})
    if asks_engines:
        rules.append({"apiGroups": [""], "resources": ["pods/proxy"], "verbs": ["get"]})
    kind = "ClusterRole" if namespace is None else "Role"
    metadata = {"name": NAME} if namespace is None else {"name": NAME, "namespace": namespace}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata, "rules": rules}
    binding = "clusterrolebinding" if namespace is None else f"-n {namespace} rolebinding"
    flag = "clusterrole" if namespace is None else "role"
    return (
        f"# What `routegen discover` reads. To whom it is given: kubectl create {binding} {NAME} --{flag}={NAME} "
        f"--user=NAME\n{to_yaml([role])}"
    )
