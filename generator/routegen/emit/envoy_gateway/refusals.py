"""How Envoy Gateway's routes say no by themselves: an ``HTTPRouteFilter`` with a direct response."""

from __future__ import annotations

import json
from typing import Any

from routegen.emit.envoy_gateway.policies import API
from routegen.emit.kubernetes.objects import Document, child_name, document
from routegen.emit.refusals import NOT_FOUND
from routegen.plan import Plan
from routegen_router.answers import error_document
from routegen_router.refusals import Reject


def not_found(plan: Plan) -> Document:
    """404 for what isn't served."""
    return _refusal(plan, NOT_FOUND)


def refuse(refusal: Document) -> dict[str, Any]:
    """What a rule of an HTTPRoute does to answer with ``refusal``."""
    reference = {"group": "gateway.envoyproxy.io", "kind": "HTTPRouteFilter", "name": refusal["metadata"]["name"]}
    return {"filters": [{"type": "ExtensionRef", "extensionRef": reference}]}


def _refusal(plan: Plan, reject: Reject) -> Document:
    """An answer in OpenAI's shape, called after its code."""
    response = {
        "statusCode": reject.status,
        "contentType": "application/json",
        "body": {"type": "Inline", "inline": json.dumps(error_document(reject))},
    }
    name = child_name(plan.name, reject.code.replace("_", "-"))
    return document(plan, API, "HTTPRouteFilter", name, "refusal", {"directResponse": response})
