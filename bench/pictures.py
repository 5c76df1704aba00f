"""Photographs of a running demo's dashboard, for the README.

make demo                                          # in another terminal, until the table is full
python -m bench.pictures [http://127.0.0.1:8000]   # writes docs/pictures/
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
SIZE = {"width": 1280, "height": 860}
PATIENCE_MS = 60_000.0
EXPRESSION = "rsi14 < 45 and close > 5"


def main() -> None:
    address = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
    program = shutil.which("chromium")
    if program is None:
        sys.exit("Chromium is missing; apt-get install chromium")
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = _opened(browser, f"{address}/#/", dark=False)
        expect(page.get_by_role("heading", name="Every ticker")).to_be_visible(timeout=PATIENCE_MS)
        page.wait_for_timeout(2_000)  # the map is drawn, the first ages are told
        page.screenshot(path=FOLDER / "overview.png")
        page = _opened(browser, f"{address}/#/scans", dark=True)
        page.get_by_label("Find tickers of which this holds").fill(EXPRESSION)
        page.get_by_role("button", name="Scan", exact=True).click()
        expect(page.get_by_text("100.0 %")).to_be_visible(timeout=PATIENCE_MS)
        page.wait_for_timeout(1_000)
        page.screenshot(path=FOLDER / "scan.png")
        browser.close()


def _opened(browser: Browser, url: str, *, dark: bool) -> Page:
    context = browser.new_context(viewport=SIZE, color_scheme="dark" if dark else "light")  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(url)
    return page


if __name__ == "__main__":
    main()
