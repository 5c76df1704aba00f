"""Fixtures of the dashboard: Debian's Chromium, headless, that fails a test on an error in a page."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

PATIENCE_MS = 60_000
OWN_FAULTS = ("Content Security Policy", "Refused to", "Uncaught")
"""What a page must never say on its console, beside exceptions; that a server is away it may say."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for the tests of a module."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        # Without its sandbox, which root cannot have: it sees nothing but our own pages.
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages, each with cookies of its own; at the end none of them may have had a fault."""
    faults: list[str] = []

    def note(message: ConsoleMessage) -> None:
        faults.extend([message.text] if any(fault in message.text for fault in OWN_FAULTS) else [])

    contexts = []

    def opened(*, width: int = 1280, height: int = 900, dark: bool = False) -> Page:
        size, scheme = {"width": width, "height": height}, "dark" if dark else "light"
        contexts.append(browser.new_context(viewport=size, color_scheme=scheme))  # type: ignore[arg-type]
        contexts[-1].set_default_timeout(PATIENCE_MS)
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", note)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert faults == []
