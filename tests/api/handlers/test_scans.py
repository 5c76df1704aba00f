from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import update

from core.clock import SystemClock
from core.notify import Notifier
from core.settings import Daily, Screener, Settings
from screener.work import main
from storage.daily_bars import write_daily_bars
from storage.schema import stocks_stock
from storage.writer import Writer
from tests.fix_api import RunningApi, new_folder, served, settings_of
from tests.fix_scans import LAST_DAY, daily_bars

SCANS = "/api/v1/scans"
CLOSES = {
    "AAPL": [100.0 + day for day in range(260)],
    "BRK-B": [400.0 - day for day in range(260)],
    "MSFT": [200.0 + day / 2 for day in range(260)],
}
SECTORS = {"AAPL": "Technology", "BRK-B": "Financial Services", "MSFT": "Technology"}


@pytest.fixture(scope="module")
def market(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    """A server beside a scan engine on a year of bars: two tickers rise, one falls."""
    folder = new_folder(sqlite_template, tmp_path_factory.mktemp("scans"))

    def sectors(tx: Any) -> None:
        for ticker, sector in SECTORS.items():
            tx.connection.execute(update(stocks_stock).where(stocks_stock.c.ticker == ticker).values(sector=sector))

    with Writer.open(f"sqlite:///{folder}/tickerd.db", service="test", origin=None, clock=SystemClock()) as writer:
        write_daily_bars(writer, daily_bars(CLOSES))
        writer.run(sectors, source="test")
    settings = replace(
        settings_of(folder, auth=False),
        daily=Daily(history_days=260),
        screener=Screener(results_dir=str(folder / "results")),
    )
    with served(settings, folder) as found, scanning(settings):
        yield found


@contextmanager
def scanning(settings: Settings) -> Iterator[None]:
    """A scan engine in a thread of its own, until the body ends."""
    stop = threading.Event()
    engine = threading.Thread(target=lambda: asyncio.run(_until(stop, settings)))
    engine.start()
    try:
        yield
    finally:
        stop.set()
        engine.join(60)


async def _until(stop: threading.Event, settings: Settings) -> None:
    asked = asyncio.Event()

    async def watch() -> None:
        await asyncio.to_thread(stop.wait)
        asked.set()

    watching = asyncio.ensure_future(watch())
    await main(settings, asked, Notifier(None))
    await watching


def ended(market: RunningApi, scan_id: str) -> Any:
    """Wait for the end of a scan; return its row."""
    while True:
        row = market.ask("GET", f"{SCANS}/{scan_id}").json
        if row["finished_at"] is not None:
            return row


def test_the_seed_request_with_gics_sectors_returns_rows(market: RunningApi) -> None:
    body = {"max_symbols": 100, "min_tech_rating": 50.0, "sectors": ["Information Technology"], "async_mode": True}
    started = market.ask("POST", "/scan/start", body)
    scan_id = started.json["scan_id"]
    assert (started.status, started.json["status"]) == (200, "pending")
    assert started.json["message"] == "Scan started with multi-stage progress tracking"
    assert started.json["progress_url"] == f"/scan/progress/{scan_id}"
    assert started.json["websocket_url"] == f"/scan/ws/{scan_id}"
    assert started.json["sse_url"] == f"/scan/stream/{scan_id}"
    assert ended(market, scan_id)["status"] == "complete"
    told = market.ask("GET", f"/scan/results/{scan_id}").json
    assert sorted(result["symbol"] for result in told["results"]) == ["AAPL", "MSFT"]
    assert told["metrics"]["signals"] == 2 and set(told["timings"]) >= {"symbol_scanning"}
    assert market.ask("GET", started.json["progress_url"]).json["overall_progress"] == 100


def test_a_request_that_contradicts_itself_starts_nothing(market: RunningApi) -> None:
    known = market.ask("GET", f"{SCANS}?limit=1").json["data"]
    told = market.ask("POST", "/scan/start?async_mode=true", {"expression": "close > sma50", "async_mode": False})
    assert (told.status, told.json["code"]) == (422, "contradiction")
    assert market.ask("GET", f"{SCANS}?limit=1").json["data"] == known


def test_async_mode_false_waits_for_the_results(market: RunningApi) -> None:
    told = market.ask("POST", "/scan/start", {"expression": "close > sma50", "async_mode": False}).json
    assert (told["status"], sorted(found["ticker"] for found in told["results"])) == ("complete", ["AAPL", "MSFT"])
    assert market.ask("POST", "/scan/start?async_mode=false", {"expression": "close < sma50"}).json["results"]


def test_the_oldest_start_answers_with_the_results(market: RunningApi) -> None:
    told = market.ask("POST", "/scan", {"expression": "close < sma50"}).json
    assert [found["symbol"] for found in told["results"]] == ["BRK-B"]
    assert told["status"] == "complete" and told["metrics"]["processed"] == 3


def test_the_streaming_start_has_absolute_addresses_and_its_features(market: RunningApi) -> None:
    body = {"max_symbols": 50, "enable_prioritization": True, "enable_streaming": False}
    told = market.ask("POST", "/scan/start", body | {"termination_criteria": {"max_signals": 5}}).json
    scan_id, host = told["scan_id"], f"localhost:{market.port}"
    assert told["websocket_url"] == f"ws://{host}/ws/results/{scan_id}"
    assert told["stats_url"] == f"http://{host}/scan/stats/{scan_id}"
    assert told["features"] == {"prioritization": True, "streaming": False, "early_termination": True}
    ended(market, scan_id)
    assert market.ask("GET", f"/scan/stats/{scan_id}").json["processed"] == 3


def test_the_lc_scan_looks_at_each_session_of_the_range(market: RunningApi) -> None:
    body = {
        "start_date": str(date.fromordinal(LAST_DAY.toordinal() - 30)),
        "end_date": str(LAST_DAY),
        "filters": {"min_volume": 10, "min_dollar_volume": 100},
    }
    started = market.ask("POST", "/api/scan/execute", body).json
    assert started["success"] is True and started["status"] == "running"
    row = ended(market, started["scan_id"])
    assert row["status"] == "complete" and "lc_fbo" in row["request"]["expression"]
    assert (row["request"]["since"], row["request"]["until"]) == (body["start_date"], body["end_date"])
    assert market.ask("GET", f"/api/scan/progress/{started['scan_id']}").json["progress_percent"] == 100
    assert "results" in market.ask("GET", f"/api/scan/results/{started['scan_id']}").json


def test_a_canonical_start_says_where_everything_is(market: RunningApi) -> None:
    started = market.ask("POST", SCANS, {"expression": "close > sma50", "order_by": "close", "top": 1})
    assert started.status == 202 and started.headers["location"] == f"{SCANS}/{started.json['scan_id']}"
    ended(market, started.json["scan_id"])
    for name in ("self", "progress", "results", "stats"):
        assert market.ask("GET", started.json["urls"][name]).status == 200
    told = market.ask("GET", started.json["urls"]["stream"], headers={"Accept": "text/event-stream"})
    assert told.status == 200 and b'"type":"complete"' in told.body
    (found,) = market.ask("GET", f"{started.json['urls']['results']}?order=rank").json["data"]
    assert (found["ticker"], found["rank"]) == ("AAPL", 1)


def test_results_come_in_pages_since_a_number_and_as_csv(market: RunningApi) -> None:
    body = {"expression": "close > 0", "async_mode": False}
    scan_id = market.ask("POST", SCANS, body).json["scan_id"]
    path = f"{SCANS}/{scan_id}/results"
    first = market.ask("GET", f"{path}?limit=2").json
    rest = market.ask("GET", f"{path}?limit=2&cursor={first['next']}").json
    seqs = [found["seq"] for found in first["data"] + rest["data"]]
    assert seqs == sorted(seqs) and len(seqs) == 3 and rest["next"] is None
    later = market.ask("GET", f"{path}?since={seqs[1]}").json["data"]
    assert [found["seq"] for found in later] == seqs[2:]
    lines = market.ask("GET", f"/api/scan/results/{scan_id}?format=csv").body.decode().splitlines()
    assert lines[0].startswith("rank,ticker,session") and len(lines) == 4
    assert len(market.ask("GET", f"{path}?format=ndjson").body.splitlines()) == 3
    assert len(market.ask("GET", f"{path}?format=columnar").json["columns"]["ticker"]) == 3


def test_scans_are_listed_and_one_that_is_over_cannot_be_stopped(market: RunningApi) -> None:
    scan_id = market.ask("POST", SCANS, {"expression": "close > 0", "async_mode": False}).json["scan_id"]
    listed = market.ask("GET", "/api/scan/list?status=complete&limit=1").json
    assert [scan["id"] for scan in listed["data"]] == [scan_id]
    assert market.ask("POST", f"{SCANS}/{scan_id}/cancel").json == {"scan_id": scan_id, "done": False}
    assert market.ask("GET", f"{SCANS}/scan_none/progress").status == 404
    assert market.ask("GET", f"{SCANS}/a%20b").status == 422


def test_a_scan_that_is_asked_for_while_the_engine_is_away_waits_and_says_so_until_it_is_back(
    sqlite_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.handlers.scans.WAIT_S", 0.0)
    folder = new_folder(sqlite_template, tmp_path)
    with Writer.open(f"sqlite:///{folder}/tickerd.db", service="test", origin=None, clock=SystemClock()) as writer:
        write_daily_bars(writer, daily_bars(CLOSES))
    settings = replace(settings_of(folder, auth=False), daily=Daily(history_days=260))
    body = {"expression": "close > sma50"}
    with served(settings, folder) as alone:
        started = alone.ask("POST", SCANS, body).json
        told = alone.ask("GET", started["urls"]["progress"]).json
        assert (told["status"], told["message"]) == ("pending", "Waiting for the scan engine")
        waited = alone.ask("POST", SCANS, body | {"async_mode": False})
        assert (waited.status, waited.json["status"], waited.json["results"]) == (202, "pending", [])
        assert alone.ask("POST", f"{SCANS}/{waited.json['scan_id']}/cancel").json["done"] is True
        with scanning(settings):
            assert ended(alone, started["scan_id"])["status"] == "complete"
            assert ended(alone, waited.json["scan_id"])["status"] == "cancelled"
        found = alone.ask("GET", started["urls"]["results"]).json["data"]
        assert sorted(result["ticker"] for result in found) == ["AAPL", "MSFT"]
