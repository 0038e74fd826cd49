"""Would the real API server take this object? A server-side apply that changes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from routegen.common.rbac import plural
from support.cluster.api import Api


class DryRun:
    """Asks once for each different object."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.asked = 0
        """How many objects the API server has judged."""
        self._ask = cache(self._refusal)

    def refusal(self, document: Mapping[str, Any]) -> str | None:
        """What the API server has against ``document``; ``None``: it takes it."""
        return self._ask(json.dumps(document, sort_keys=True))

    def _refusal(self, text: str) -> str | None:
        document = json.loads(text)
        version, kind, metadata = document["apiVersion"], document["kind"], document["metadata"]
        root = "/apis/" if "/" in version else "/api/"
        path = f"{root}{version}/namespaces/{metadata['namespace']}/{plural(kind)}/{metadata['name']}"
        query = "?dryRun=All&fieldManager=search&force=true&fieldValidation=Strict"
        status, answer = self._api.request("PATCH", path + query, document, "application/apply-patch+yaml")
        self.asked += 1
        if status in {200, 201}:  # found, or it would be made
            return None
        return str(answer["message"] if isinstance(answer, dict) else answer)
