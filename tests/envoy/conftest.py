"""What all tests with a real Envoy share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support import sdk


@pytest.fixture(autouse=True)
def clients_are_closed() -> Iterator[None]:
    """Close the API clients that a test has made."""
    yield
    sdk.close_all()
