"""Fits pytest to the Windows Python under Wine: its event loop, and skips that say why. Loaded by run.py alone."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.windows.chosen import NOT_LOADED, SKIPPED

POSIX = ("fcntl", "pty", "resource")
"""Modules that test files import at their top; what needs them is skipped, the rest runs."""


def pytest_configure() -> None:
    if sys.platform == "win32":
        sys.modules.update({name: ModuleType(name) for name in POSIX})
        asyncio.set_event_loop_policy(asyncio.WindowsSelectorEventLoopPolicy())  # as core.program.run_loop


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return True if _name(collection_path, config) in NOT_LOADED else None


def _name(path: Path, config: pytest.Config) -> str:
    return path.relative_to(config.rootpath).as_posix()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = [item for item in items if not _needs_a_server(item)]
    for item in items:
        for beginning, reason in SKIPPED.items():
            if item.nodeid.startswith(beginning):
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for module, reason in NOT_LOADED.items():
        terminalreporter.write_line(f"NOT LOADED {module}: {reason}")


def _needs_a_server(item: pytest.Item) -> bool:
    """PostgreSQL's server programs are those of the machine below Wine."""
    return "postgresql" in item.nodeid or bool({"postgresql_server", "postgresql_url"} & set(item.fixturenames))  # type: ignore[attr-defined]
