from __future__ import annotations

import gzip
import re
from pathlib import Path

from tests.fix_api import RunningApi, new_folder, served, settings_of


def test_the_page_loads_nothing_from_elsewhere_and_runs_nothing_inline(api: RunningApi) -> None:
    page = api.ask("GET", "/api/docs", key="")
    assert page.headers["content-type"].startswith("text/html")
    text = page.body.decode()
    loaded = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert loaded and all(api.ask("GET", path, key="").status == 200 for path in loaded)
    assert "//" not in "".join(loaded) and re.findall(r"<script>|<style|\son\w+=", text) == []


def test_large_files_go_packed_to_who_can_unpack_them(api: RunningApi) -> None:
    path = "/api/docs/swagger-ui.css"
    packed = api.ask("GET", path, headers={"Accept-Encoding": "gzip"})
    plain = api.ask("GET", path, headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip" and "content-encoding" not in plain.headers
    assert gzip.decompress(packed.body) == plain.body
    again = api.ask("GET", path, headers={"Accept-Encoding": "gzip", "If-None-Match": packed.headers["etag"]})
    assert again.status == 304


def test_the_documents_are_there_for_who_may_read(api: RunningApi) -> None:
    assert api.ask("GET", "/api/v1/openapi.json").json["openapi"].startswith("3.1")
    assert api.ask("GET", "/api/v1/asyncapi.json").json["asyncapi"] == "3.0.0"
    assert api.ask("GET", "/api/v1/openapi.json", key="").status == 401


def test_it_can_be_turned_off(sqlite_template: Path, tmp_path: Path) -> None:
    folder = new_folder(sqlite_template, tmp_path)
    with served(settings_of(folder, auth=False, docs=False), folder) as quiet:
        for path in ("/api/docs", "/api/docs/docs.js", "/api/v1/openapi.json", "/api/v1/asyncapi.json"):
            assert quiet.ask("GET", path).status == 404
