from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update

from core.clock import SystemClock
from storage.audits import AuditRow, Finding, write_audit
from storage.schema import proxy, stocks_stock
from storage.writer import Writer
from tests.fix_api import RunningApi, new_folder, served, settings_of


@pytest.fixture(scope="module")
def market(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    """Three tickers: one priced a quarter of an hour ago, one two hours ago, one never; two proxies."""
    folder, now = new_folder(sqlite_template, tmp_path_factory.mktemp("market")), SystemClock().utc_now()
    ages_s = {"AAPL": 900, "MSFT": 7200}
    proxies = [
        {
            "address": f"10.0.0.{n}:80",
            "protocol": "http",
            "state": state,
            "first_seen": now,
            "cookie": "c",
            "crumb": "k",
        }
        for n, state in enumerate(("gold", "live"))
    ]

    def body(tx: Any) -> None:
        for ticker, age_s in ages_s.items():
            row = update(stocks_stock).where(stocks_stock.c.ticker == ticker)
            tx.connection.execute(row.values(price_updated_at=now - timedelta(seconds=age_s), sector="Technology"))
        tx.connection.execute(insert(proxy), proxies)

    with Writer.open(f"sqlite:///{folder}/tickerd.db", service="test", origin=None, clock=SystemClock()) as writer:
        writer.run(body, source="prices")
    with served(settings_of(folder, auth=False), folder) as found:
        yield found


def test_the_market_is_open_or_closed_and_says_when_that_changes(market: RunningApi) -> None:
    told = market.ask("GET", "/api/v1/market").json
    is_open = told["market"]["state"] == "open"
    assert told["next_change"]["to"] == ("closed" if is_open else "open")
    assert told["next_change"]["at"] == told["market"]["closes_at" if is_open else "opens_at"] > told["at"]


def test_coverage_has_counts_ages_and_a_histogram_whose_buckets_are_all_tickers(market: RunningApi) -> None:
    told = market.ask("GET", "/api/v1/coverage?days=2").json
    price = told["groups"]["price"]
    assert {bucket: count for bucket, count in price["histogram"].items() if count} == {
        "within_1800_s": 1,
        "within_86400_s": 1,
        "never": 1,
    }
    assert price["total"] == 3 and price["age_s"]["max"] >= 7200
    assert told["groups"]["daily"]["histogram"]["never"] == 3
    assert len(told["days"]) == 2 and "days" not in market.ask("GET", "/api/v1/coverage").json


def test_the_map_has_a_cell_a_ticker(market: RunningApi) -> None:
    columns = market.ask("GET", "/api/v1/coverage/cells").json["columns"]
    assert columns["ticker"] == ["AAPL", "BRK-B", "MSFT"]
    assert columns["sector"] == ["Technology", None, "Technology"]
    assert columns["price_age_s"][1] is None and columns["price_age_s"][2] >= 7200


def test_proxies_are_counted_and_listed_without_what_they_are_used_with(market: RunningApi) -> None:
    told = market.ask("GET", "/api/v1/proxies").json
    assert told["counts"] == {"gold": 1, "live": 1}
    assert [row["address"] for row in told["data"]] == ["10.0.0.0:80", "10.0.0.1:80"]
    assert not {"cookie", "crumb"} & told["data"][0].keys()
    only = market.ask("GET", "/api/v1/proxies?state=live&format=csv").body.decode().splitlines()
    assert [line.split(",")[0] for line in only] == ["address", "10.0.0.1:80"]


def test_what_the_audit_of_a_session_found_is_told_number_by_number(sqlite_template: Path, tmp_path: Path) -> None:
    folder, day = new_folder(sqlite_template, tmp_path), date(2026, 11, 20)
    counts = {"asked": 2, "exact": 1, "differs": 1, "not_comparable": 1, "sampled": 1, "outliers": 1, "requests": 2}
    row = AuditRow(session=day, at=datetime(2026, 11, 20, 22, tzinfo=UTC), total=3, **counts)
    found = [
        Finding(ticker="AAPL", verdict="exact", rule="sample"),
        Finding(ticker="BRK-B", verdict="not_comparable", reason="not answered"),
        Finding(ticker="MSFT", verdict="differs", field="close", rule="jump", held=1.0, told=2.0),
    ]
    with Writer.open(f"sqlite:///{folder}/tickerd.db", service="test", origin=None, clock=SystemClock()) as writer:
        write_audit(writer, row, found)
    with served(settings_of(folder, auth=False), folder) as api:
        (told,) = api.ask("GET", "/api/v1/truth").json["data"]
        assert (told["session"], told["exact"], told["total"]) == ("2026-11-20", 1, 3)
        rows = api.ask("GET", "/api/v1/truth/2026-11-20").json["data"]
        assert [(row["ticker"], row["field"], row["held"], row["told"]) for row in rows] == [
            ("BRK-B", "", None, None),
            ("MSFT", "close", 1.0, 2.0),
        ]
        assert api.ask("GET", "/api/v1/truth/2026-11-19").json["data"] == []
        assert api.ask("GET", "/api/v1/truth/yesterday").status == 422
