"""A pod's own list of models, asked for through the API server."""

from __future__ import annotations

import json
from collections.abc import Callable

from routegen.cluster import Cluster, RefusedError

from .things import Thing, one_line


def owners_told(cluster: Cluster, pod: Thing, port: int, scheme: str, refused: Callable[[str], None]) -> list[str]:
    """The owners that a pod's ``GET /v1/models`` names, each once.

    :param refused: is told where it can't be asked.
    """
    try:
        answer = json.loads(cluster.ask_pod(pod.namespace, pod.name, "/v1/models", scheme=scheme, port=port))
    except RefusedError as error:
        refused(f"{pod}: {one_line(str(error))}")
        return []
    except ValueError:
        refused(f"{pod}: its list of models is not JSON")
        return []
    entries = answer.get("data") if isinstance(answer, dict) else None
    owners = [one.get("owned_by") for one in entries or () if isinstance(one, dict)]
    return list(dict.fromkeys(one_line(owner) for owner in owners if isinstance(owner, str) and owner))
