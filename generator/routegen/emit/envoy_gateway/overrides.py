"""What Envoy answers by itself before an engine is chosen, in OpenAI's shape (``responseOverride``).

A match looks at the status alone (by header only from Envoy Gateway 1.9 on), and the router's refusals count as Envoy's
own too. So nothing is said of 503, which the router itself answers with reasons and ``retry-after``. A router that
can't be asked is 500 by Envoy's default (Envoy Gateway 1.8 has no setting for it), and so is one that failed inside:
both become 503.
"""

from __future__ import annotations

import json
from typing import Any, Final

from routegen.emit.refusals import GATEWAY_TIMEOUT, ROUTER_UNAVAILABLE, UPLOAD_STALLED
from routegen.plan import Plan
from routegen_router.answers import error_document
from routegen_router.refusals import Reject, too_large

ROUTER_FAILED: Final = 500
"""What Envoy's external processing answers where it fails."""


def while_reading(plan: Plan) -> list[dict[str, Any]]:
    """For a request that is still being read."""
    return [_override(reject) for reject in (too_large(plan.max_body_bytes), UPLOAD_STALLED)]


def while_asking() -> list[dict[str, Any]]:
    """For a request that waits for the router."""
    return [router_failed(), _override(GATEWAY_TIMEOUT)]


def router_failed() -> dict[str, Any]:
    """For a request that the router couldn't be asked about."""
    return _override(ROUTER_UNAVAILABLE, ROUTER_FAILED)


def _override(reject: Reject, status: int | None = None) -> dict[str, Any]:
    """Answer ``reject`` in place of Envoy's own text; where its status is another one, change that too."""
    response = {
        **({} if status is None else {"statusCode": reject.status}),
        "contentType": "application/json",
        "body": {"type": "Inline", "inline": json.dumps(error_document(reject))},
    }
    match = {"statusCodes": [{"type": "Value", "value": reject.status if status is None else status}]}
    return {"match": match, "source": "Local", "response": response}
