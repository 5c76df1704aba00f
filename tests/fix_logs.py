"""No test inherits the logging of the one before it."""

from __future__ import annotations

import pytest
import structlog

# The usual one prints every value of every frame: two seconds of a processor for one error that a test provokes.
structlog.get_config()["processors"][-1].exception_formatter = structlog.dev.plain_traceback


@pytest.fixture(autouse=True)
def unconfigured_logs() -> None:
    """A command run in this process sets a level, below which `capture_logs` would see nothing."""
    structlog.reset_defaults()
