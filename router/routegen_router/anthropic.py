"""Refusals in Anthropic's shape, for clients of its Messages API.

Source: Anthropic's API reference, "Errors": ``{"type": "error", "error": {"type", "message"}}``, the inner type by the
status. It has no field for a code or a parameter, so the sentence alone says what is wrong.
"""

from __future__ import annotations

from typing import Final

from .refusals import Reject

PATH: Final = "/v1/messages"
"""The Messages API; ``/count_tokens`` stands below it."""
_TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
}
_OVERLOADED: Final = 503


def speaks(path: str) -> bool:
    """Whether clients of this path, which has no query, expect this shape."""
    return f"{path}/".startswith(f"{PATH}/")


def error_document(reject: Reject) -> dict[str, str | dict[str, str]]:
    """``{"type": "error", "error": {"type", "message"}}``."""
    return {"type": "error", "error": {"type": _kind(reject.status), "message": reject.message}}


def _kind(status: int) -> str:
    if status < 500:  # noqa: PLR2004 - HTTP's client errors
        return _TYPES.get(status, "invalid_request_error")
    return "overloaded_error" if status == _OVERLOADED else "api_error"
