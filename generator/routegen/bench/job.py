"""The bench as a Kubernetes Job, beside the engines. Pure: the same run always gives the same documents.

From outside, ``kubectl port-forward`` would stand in the way: one connection through the API server, which is slower
than most engines and would be what is measured.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import cache
from hashlib import sha256
from typing import Final

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from routegen.bench.resources.pods import namespace_of
from routegen.common.text import to_yaml

RUNS: Final = "/runs"
"""Where the Job's pod keeps run folders: the claim, or the pod's own disk."""
ROUTES: Final = "/etc/routegen"
"""Where it has the routes.yaml."""

KEYS: Final = "/etc/routegen-keys"
"""Where it has the engines' API keys, one folder a Secret."""

_LABELS: Final = {
    "app.kubernetes.io/name": "routegen",
    "app.kubernetes.io/component": "bench",
    "app.kubernetes.io/managed-by": "routegen",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What the Job does, and where."""

    arguments: tuple[str, ...]
    """Of ``routegen bench``, without the routes.yaml and the run folder."""
    routes: str | None
    """The routes.yaml's text, where the arguments need one."""
    namespace: str
    image: str
    pods: tuple[str, ...] = ()
    """What is sampled, as ``--pods`` names it; the Job may read those namespaces' figures then, and the nodes'."""
    claim: str | None = None
    """The PersistentVolumeClaim that keeps the run folder; ``None``: the logs are all that stays."""
    key_variable: str | None = None
    secret: str | None = None
    """The Secret that has the API key, under the variable's name."""
    keys: tuple[tuple[str, str, str], ...] = ()
    """Of engines with an API key of their own: engine, Secret, and the Secret's key."""

    @property
    def name(self) -> str:
        """A Job can't be changed, so its name carries its content: the same run applied again changes nothing."""
        return f"routegen-bench-{sha256(json.dumps(astuple(self)).encode()).hexdigest()[:10]}"


def render(job: Job) -> str:
    """ConfigMap, permissions and Job, as far as they are needed, as YAML."""
    routes = [] if job.routes is None else ["-f", f"{ROUTES}/routes.yaml"]
    keys = [f"--api-key-file={engine}={KEYS}/{secret}/{key}" for engine, secret, key in job.keys]
    text = (
        _templates()
        .get_template("job.yaml.j2")
        .render(
            name=job.name,
            cluster_name=f"{job.namespace}-{job.name}",
            labels={**_LABELS, "app.kubernetes.io/instance": job.name},
            namespace=job.namespace,
            image=job.image,
            arguments=["bench", *routes, *map(_literal, job.arguments), *keys, "--output-dir", f"{RUNS}/{job.name}"],
            routes=job.routes,
            routes_folder=ROUTES,
            runs=RUNS,
            pods=_unique([namespace_of(watched) for watched in job.pods]),
            claim=job.claim,
            key_variable=job.key_variable,
            secret=job.secret,
            key_secrets=_unique([secret for _, secret, _ in job.keys]),
            key_folder=KEYS,
        )
    )
    return to_yaml(document for document in yaml.safe_load_all(text) if document is not None)


def _literal(argument: str) -> str:
    """As it is: Kubernetes would put a variable's value in the place of ``$(NAME)``, and takes ``$$`` for ``$``."""
    return argument.replace("$", "$$")


def _unique(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(names))


@cache
def _templates() -> Environment:
    # JSON is YAML on one line, so a value stays one value whatever is in it. (`autoescape` is HTML's.)
    environment = Environment(
        loader=PackageLoader("routegen.bench"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["yaml"] = json.dumps
    return environment
