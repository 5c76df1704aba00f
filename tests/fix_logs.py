"""No test inherits the logging of the one before it."""

from __future__ import annotations

import pytest
import structlog


@pytest.fixture(autouse=True)
def unconfigured_logs() -> None:
    """A command run in this process sets a level, below which `capture_logs` would see nothing."""
    structlog.reset_defaults()
