from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from core.clock import SystemClock
from core.errors import FixByHand
from core.files import make_folder
from daemon.control import ControlServer
from storage.runs import finish_run, start_run
from storage.schema import scanner_event
from storage.writer import Writer
from tests.fix_api import RunningApi, new_folder, served, settings_of

NOW = SystemClock().utc_now()


class Orchestrator:
    """What answers on the control socket: three processes, and what it was told to do."""

    def __init__(self) -> None:
        self.orders: list[tuple[str, str]] = []
        self.refuses = ""

    def status(self, _name: str) -> dict[str, Any]:
        usage = {"rss_mb": 80.0, "cpu_percent": 1.0, "open_files": 9, "pid": 7, "restarts": 1}
        processes = [
            {"name": name, "state": state, "wanted": True, "reason": "", **usage}
            for name, state in (("prices", "running"), ("metrics", "backoff"), ("recorder", "running"))
        ]
        return {"state": "running", "market": {}, "alerts": [{"alert": "x"}], "processes": processes}

    def order(self, command: str) -> Any:
        def obey(name: str) -> dict[str, Any]:
            self.orders.append((command, name))
            return {"name": name, "state": "starting", "reason": ""}

        return obey

    def reload(self, _name: str) -> dict[str, Any]:
        if self.refuses:
            raise FixByHand(self.refuses)
        return {"applied": ["metrics.concurrency"], "later": [], "advice": "", "restarted": ["metrics"]}


EVENTS = (
    ("scanner_started", "schedule"),
    ("scanner_failed", "crash"),
    ("scanner_restarted", "crash"),
    ("scanner_ready", "crash"),
    ("scanner_finished", "exit"),
    ("scanner_restarted", "operator"),
)
"""Of one process: one of them is a restart that nobody wanted."""


@pytest.fixture(scope="module")
def orchestrator() -> Orchestrator:
    return Orchestrator()


@pytest.fixture(scope="module")
def market(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, orchestrator: Orchestrator
) -> Iterator[RunningApi]:
    """A server beside an orchestrator; two passes of `prices`, a crash and what follows it."""
    folder = new_folder(sqlite_template, tmp_path_factory.mktemp("scanners"))
    with Writer.open(f"sqlite:///{folder}/tickerd.db", service="test", origin=None, clock=SystemClock()) as writer:
        for updated in (90, 99):
            began = NOW - timedelta(seconds=30)
            run = start_run(writer, scanner="prices", session_date=NOW.date(), expected=100, at=began)
            ended: dict[str, Any] = {"updated": updated, "failed": 0, "skipped": 0, "detail": {}, "at": NOW}
            finish_run(writer, run, status="complete", **ended)
        events = [
            {"at": NOW, "source": "s", "seq": seq, "process": "prices", "event": event, "cause": cause}
            for seq, (event, cause) in enumerate(EVENTS)
        ]
        writer.run(lambda tx: tx.connection.execute(insert(scanner_event), events), source="test")
    handlers = {name: orchestrator.order(name) for name in ("start", "stop", "restart")}
    given = {"status": orchestrator.status, "reload": orchestrator.reload, **handlers}
    server = ControlServer(make_folder(folder / "state"), given)
    with served(settings_of(folder, auth=False), folder) as found:
        found.do(server.start())
        yield found
        found.do(server.close())


def test_each_process_is_told_with_its_last_pass_its_target_and_its_restarts(market: RunningApi) -> None:
    told = market.ask("GET", "/api/v1/scanners").json
    prices, metrics, recorder = told["data"]
    assert (prices["name"], prices["target_s"], prices["restarts_24h"]) == ("prices", 60.0, 1)
    assert (prices["last_run"]["took_s"], prices["last_run"]["success"]) == (30.0, 0.99)
    assert (metrics["target_s"], metrics["last_run"], recorder["target_s"]) == (600.0, None, None)
    assert told["alerts"] == market.ask("GET", "/api/v1/alerts").json["data"] == [{"alert": "x"}]
    assert market.ask("GET", "/api/v1/scanners/prices").json["pid"] == 7
    assert market.ask("GET", "/api/v1/scanners/daily").status == 404
    assert market.ask("GET", "/health").json["orchestrator"] == {"ok": True, "reason": None, "state": "running"}


def test_the_older_status_tells_whether_a_scanner_runs(market: RunningApi) -> None:
    told = market.ask("GET", "/api/v1/scanner/status").json
    assert (told["status"], [process["name"] for process in told["data"]]) == ("running", ["prices", "metrics"])
    assert market.ask("GET", "/api/v1/scanner/status?scanner=metrics").json["status"] == "stopped"


def test_orders_go_to_one_process_or_to_all_scanners(market: RunningApi, orchestrator: Orchestrator) -> None:
    orchestrator.orders.clear()
    assert market.ask("POST", "/api/v1/scanners/recorder/restart").json["state"] == "starting"
    assert market.ask("POST", "/api/v1/scanner/stop?scanner=prices").status == 200
    body = {"symbols": ["AAPL"], "config": {"breakoutThreshold": 1.5}}
    told = market.ask("POST", "/api/v1/scanner/start", body).json
    assert told["success"] and set(told["not_applied"]) == {"symbols", "config"}
    every = [("start", name) for name in ("prices", "metrics", "daily")]
    assert orchestrator.orders == [("restart", "recorder"), ("stop", "prices"), *every]
    assert market.ask("POST", "/api/v1/scanner/start?scanner=prices", {"scanner": "daily"}).status == 422
    for name in ("nothing", "tickerd", "..%2f"):
        assert market.ask("POST", f"/api/v1/scanners/{name}/stop").status in (404, 422)


def test_passes_and_events_are_listed_the_newest_first(market: RunningApi) -> None:
    runs = market.ask("GET", "/api/v1/scanners/prices/runs?limit=1").json
    assert [run["updated"] for run in runs["data"]] == [99] and runs["next"]
    events = market.ask("GET", "/api/v1/scanners/prices/restarts").json["data"]
    assert [event["event"] for event in events] == [event for event, _ in reversed(EVENTS)]
    assert len(market.ask("GET", "/api/v1/events?format=ndjson").body.splitlines()) == len(EVENTS)


def test_settings_are_changed_in_the_file_and_applied_or_neither(
    market: RunningApi, orchestrator: Orchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = market.folder / "config.toml"
    file.write_text("[metrics]\nconcurrency = 4  # mine\n")
    monkeypatch.setenv("TICKERD_CONFIG", str(file))
    path = "/api/v1/scanner/config"
    assert market.ask("GET", f"{path}?scanner=metrics").json["values"]["metrics.concurrency"] == 4
    changed = market.ask("PUT", path, {"values": {"metrics.concurrency": 6}})
    assert (changed.status, changed.json["restarted"]) == (200, ["metrics"])
    assert file.read_text() == "[metrics]\nconcurrency = 6  # mine\n"
    orchestrator.refuses = "not now"
    refused = market.ask("PUT", path, {"values": {"metrics.concurrency": 8}})
    assert (refused.status, "not now" in refused.json["detail"]) == (422, True)
    assert file.read_text() == "[metrics]\nconcurrency = 6  # mine\n"
    for values in ({}, {"metrics.concurrency": 0}, {"alerts.command": "x"}, {"metrics.concurrency": [1]}):
        assert market.ask("PUT", path, {"values": values}).status == 422
