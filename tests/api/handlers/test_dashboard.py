from __future__ import annotations

import gzip
import re
from pathlib import Path

from api.handlers.dashboard import BASE, FOLDER
from tests.fix_api import RunningApi

OWN = [
    file for file in sorted(FOLDER.rglob("*")) if file.suffix in (".js", ".css", ".html") and "vendor" not in str(file)
]


def test_the_page_and_all_that_it_loads_are_there_for_anybody_and_packed_things_are_unpacked(api: RunningApi) -> None:
    page = api.ask("GET", "/", key="")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for path in re.findall(r'(?:src|href)="([^"]+)"', page.body.decode()):
        assert api.ask("GET", path, key="").status == 200, path
    chart = api.ask("GET", f"{BASE}/vendor/charts.js", key="")
    assert chart.headers["content-type"].startswith("text/javascript") and b"createChart" in chart.body
    packed = api.ask("GET", f"{BASE}/vendor/charts.js", key="", headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(packed.body) == chart.body


def test_every_module_that_a_script_imports_is_carried() -> None:
    for file in OWN:
        for name in re.findall(r'(?:from|import\() ?"(\.[^"]+)"', file.read_text()):
            assert (file.parent / name).is_file(), f"{file.name} imports {name}"


def test_nothing_is_loaded_from_elsewhere_and_nothing_is_inline() -> None:
    for file in OWN:
        text = file.read_text()
        addresses = [each for each in re.findall(r'https?://[^"`\s]+', text) if "www.w3.org" not in each]
        assert addresses in ([], ["https://www.tradingview.com/"]), file
        assert not re.search(r"eval\(|new Function|dangerouslySetInnerHTML|innerHTML", text), file
    assert not re.search(r"<style|\son\w+=|<script>|style=", (FOLDER / "index.html").read_text())


def test_what_a_browser_has_already_is_not_sent_again_and_nothing_else_of_the_folder_is(api: RunningApi) -> None:
    told = api.ask("GET", f"{BASE}/style.css", key="")
    assert api.ask("GET", f"{BASE}/style.css", key="", headers={"If-None-Match": told.headers["etag"]}).status == 304
    for path in ("/dashboard/", "/dashboard/../context.py", "/dashboard/vendor/charts.js.gz", "/dashboard/parts"):
        assert api.ask("GET", path, key="").status in (401, 404), path


def test_the_libraries_are_named_in_the_notice() -> None:
    notice = Path("NOTICE").read_text()
    assert "Preact" in notice and "htm" in notice and "Lightweight Charts" in notice and "TradingView" in notice
