from __future__ import annotations

from pathlib import Path

from tests.fix_api import RunningApi, new_folder, served, settings_of


def test_it_lives_and_is_ready_for_anybody(api: RunningApi) -> None:
    for path in ("/livez", "/readyz"):
        assert api.ask("GET", path, key="").json == {"status": "ok"}
        assert api.ask("HEAD", path, key="").body == b""


def test_without_an_orchestrator_it_is_degraded_and_says_why_to_who_may_read(api: RunningApi) -> None:
    told = api.ask("GET", "/api/v1/health").json
    assert (told["status"], told["tickers"], told["database"]["ok"]) == ("degraded", 3, True)
    assert told["orchestrator"]["ok"] is False and "control.sock" in told["orchestrator"]["reason"]
    nobody = api.ask("GET", "/health", key="")
    assert nobody.status == 200 and nobody.json["orchestrator"] == {"ok": False, "reason": None, "state": None}


def test_a_database_that_is_gone_is_seen_and_back_is_well(sqlite_template: Path, tmp_path: Path) -> None:
    folder = new_folder(sqlite_template, tmp_path)
    with served(settings_of(folder, auth=False), folder) as api:
        assert api.ask("GET", "/readyz").status in (200, 503)
        (folder / "tickerd.db").rename(folder / "away.db")
        gone = api.ask("GET", "/readyz")
        assert (gone.status, gone.json["code"], gone.headers["retry-after"]) == (503, "try_later", "5")
        assert api.ask("GET", "/livez").status == 200
        assert api.ask("GET", "/health").json["database"]["ok"] is False
        (folder / "away.db").rename(folder / "tickerd.db")
        assert api.ask("GET", "/health").json["database"]["ok"] is True
