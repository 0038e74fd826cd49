"""How long engines may take."""

from __future__ import annotations

from pydantic import Field

from routegen.spec.base import Model
from routegen.spec.scalars import Duration


class TimeoutsSpec(Model):
    """How long an engine may take."""

    first_byte: Duration | None = Field(
        None,
        description="From the end of the request until the headers of its answer; then 504, and no other engine is "
        "tried. Default: an hour of silence.",
    )
