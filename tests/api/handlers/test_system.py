from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import insert

from core.clock import SystemClock
from core.settings import Alerts, Logging, Network
from storage.schema import scan_errors
from storage.schema import scans as stored
from storage.writer import Writer
from tests.fix_api import RunningApi, new_folder, served, settings_of

NOW = SystemClock().utc_now()
SECRET = "s3cret-words-that-nobody-sees-here"


@pytest.fixture(scope="module")
def market(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    """A scan with its times, two errors of one kind, two logs."""
    folder = new_folder(sqlite_template, tmp_path_factory.mktemp("system"))
    timings = {"symbol_scanning": {"elapsed_s": 0.5, "done": 100, "per_s": 200.0}}
    scan = {"id": "scan_x", "request": {}, "status": "complete", "created_at": NOW, "timings": timings}
    errors = [{"scan_id": "scan_x", "at": NOW, "stage": "data_fetching", "ticker": t, "error": "gone"} for t in "AB"]
    with Writer.open(f"sqlite:///{folder}/tickerd.db", service="test", origin=None, clock=SystemClock()) as writer:
        writer.run(lambda tx: tx.connection.execute(insert(stored), [scan]), source="test")
        writer.run(lambda tx: tx.connection.execute(insert(scan_errors), errors), source="test")
    (folder / "logs").mkdir()
    lines = [{"message": "begun", "log.level": "info"}, {"message": "hurt", "log.level": "warning"}]
    (folder / "logs" / "prices.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    settings = replace(
        settings_of(folder, auth=False, secret=SECRET),
        logging=Logging(dir=str(folder / "logs")),
        network=Network(proxy=f"http://me:{SECRET}@proxy:3128"),
        alerts=Alerts(command=f"mail --password {SECRET}"),
    )
    with served(settings, folder) as found:
        yield found


@pytest.mark.parametrize("path", ["/api/v1/system/performance", "/api/scan/performance"])
def test_performance_is_of_the_machine_the_scans_and_the_answers(market: RunningApi, path: str) -> None:
    market.ask("GET", "/livez")
    told = market.ask("GET", path).json
    assert told["machine"]["cpu_cores"] >= 1 and told["processes"] is None
    assert told["scans"]["of_24h"] == {"complete": 1}
    assert told["scans"]["stages"]["symbol_scanning"] == {"elapsed_s": 0.5, "per_s": 200.0}
    livez = next(route for route in told["api"]["routes"] if route["route"] == "/livez")
    assert livez["requests"] >= 1 and livez["p95_within_s"] is not None
    assert told["api"]["by_status"]["200"] >= 1


def test_logs_are_the_newest_lines_of_a_process_that_has_one(market: RunningApi) -> None:
    told = market.ask("GET", "/api/v1/logs?process=prices&level=warning").json
    assert ([line["message"] for line in told["data"]], told["processes"]) == (["hurt"], ["prices"])


@pytest.mark.parametrize("name", ["none", "..%2f..%2fetc%2fpasswd", "prices.jsonl", "%2e"])
def test_no_other_file_is_read(market: RunningApi, name: str) -> None:
    assert market.ask("GET", f"/api/v1/logs?process={name}").status == 404


def test_settings_are_shown_without_what_is_secret(market: RunningApi) -> None:
    answer = market.ask("GET", "/api/v1/config")
    assert answer.json["keys"]["api.port"] == 0 and answer.json["keys"]["api.secret"] == "***"
    assert answer.json["keys"]["alerts.command"] == "***"
    assert answer.json["keys"]["network.proxy"] == "http://me:***@proxy:3128"
    assert SECRET.encode() not in answer.body


def test_without_an_orchestrator_there_is_nobody_to_tell_of_alerts(market: RunningApi) -> None:
    answer = market.ask("GET", "/api/v1/alerts")
    assert (answer.status, answer.json["code"]) == (503, "control_unreachable")


def test_errors_are_counted_and_forgotten(market: RunningApi) -> None:
    """The last of the module: it clears them."""
    told = market.ask("GET", "/api/scan/stats/errors").json
    assert told["total"] == 2
    assert [(row["stage"], row["error"], row["times"]) for row in told["data"]] == [("data_fetching", "gone", 2)]
    assert told["logs"] == [{"process": "prices", "warnings": 1, "errors": 0}]
    assert market.ask("DELETE", "/api/scan/stats/errors").json == {"done": True, "cleared": 2, "success": True}
    assert market.ask("GET", "/api/v1/system/errors").json["total"] == 0
    assert market.ask("DELETE", "/api/v1/system/errors").json["done"] is False
