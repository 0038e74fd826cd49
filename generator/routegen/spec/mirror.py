"""Copies of a backend's requests for another engine."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from routegen.spec.base import Model
from routegen.spec.scalars import Duration, Text

Percent = Annotated[float, Field(ge=0.0001, le=100, allow_inf_nan=False)]


class MirrorSpec(Model):
    """Copies of the requests that go to this backend, for another engine, whose answers are thrown away."""

    to: Text = Field(description="The backend that gets the copies.")
    percent: Percent = Field(100, description="How many of a hundred requests are copied, at random.")
    at_once: int = Field(
        8, ge=1, le=1000, description="Copies on their way at a time; of the requests beyond that none is made."
    )
    timeout: Duration = Field("10m", description="How long a copy may take in all; then it is given up.")
