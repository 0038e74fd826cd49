"""The models of a backend: a list of names, or a mapping where its engine has other names for them than clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Discriminator, Tag

from routegen.spec.scalars import Text


def _kind(value: Any) -> str:
    return "<mapping>" if isinstance(value, Mapping) else "<list>"


ServedModels = Annotated[
    Annotated[list[Text], Tag("<list>")] | Annotated[dict[Text, Text], Tag("<mapping>")], Discriminator(_kind)
]
