"""Options and fixtures that all tests share."""

from __future__ import annotations

import pytest
from hypothesis import settings

settings.register_profile("routegen", deadline=None)  # a busy machine is no failure
settings.load_profile("routegen")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--update-golden``."""
    parser.addoption("--update-golden", action="store_true", help="rewrite the expected output that differs")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether expected output is to be rewritten rather than compared."""
    return bool(request.config.getoption("--update-golden"))
