from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, inspect

from core.clock import SystemClock
from market.universe import Listing
from storage import schema_version
from storage.coverage import CoverageCounts, FieldGroup, write_coverage_minute
from storage.engine import open_engine, open_reader_engine
from storage.prices import PriceRow, flush_prices
from storage.schema import VIEWS
from storage.universe import load_universe
from storage.writer import Writer
from tests.fix_storage import NOON, OPENS_AT

MINUTE = timedelta(minutes=1)
SEED = "SELECT ticker, current_price, last_updated FROM stocks_stock ORDER BY last_updated DESC LIMIT 2"


def rows(engine: Engine, statement: str) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        return [dict(row) for row in connection.exec_driver_sql(statement).mappings()]


def test_going_back_takes_the_views_away_and_forward_again_brings_them_back(database_url: str) -> None:
    schema_version.downgrade(database_url, "0001")
    assert views(database_url) == set()
    schema_version.upgrade(database_url)
    assert views(database_url) == set(VIEWS)


def views(url: str) -> set[str]:
    engine = open_reader_engine(url, service="test")
    found = set(inspect(engine).get_view_names())
    engine.dispose()
    return found


@pytest.mark.parametrize("view", VIEWS)
def test_each_view_has_the_columns_that_the_code_names(reader: Engine, view: str) -> None:
    assert tuple(column["name"] for column in inspect(reader).get_columns(view)) == VIEWS[view]


def test_the_age_of_each_group_counts_from_now_for_listed_tickers_only(database_url: str, reader: Engine) -> None:
    now = SystemClock().utc_now()
    with Writer.open(database_url, service="test", origin="practice", clock=SystemClock()) as writer:
        load_universe(writer, [Listing(ticker=ticker) for ticker in ("A", "B", "GONE")])
        load_universe(writer, [Listing(ticker=ticker) for ticker in ("A", "B")], complete=True)
        row = PriceRow(
            ticker="A", price_usd=1.0, price_time=now - timedelta(days=1), heard_at=now - timedelta(seconds=90)
        )
        flush_prices(writer, [row], price_source="stream", session_opens_at=OPENS_AT)
    found = {row["ticker"]: row for row in rows(reader, "SELECT * FROM stocks_freshness")}
    assert set(found) == {"A", "B"}
    assert 90.0 <= found["A"]["price_age_s"] < 600.0
    assert (found["A"]["metrics_age_s"], found["B"]["price_age_s"], found["B"]["price_updated_at"]) == (None,) * 3


def count(writer: Writer, minute: datetime, group: FieldGroup, *, fresh: int, unknown: int) -> None:
    counts = CoverageCounts(fresh=fresh, unchanged=0, no_trade=0, unknown=unknown, total=fresh + unknown)
    write_coverage_minute(writer, minute, group, counts)


def test_a_day_is_the_sum_of_the_minutes_that_its_counts_stood_for(writer: Writer, reader: Engine) -> None:
    count(writer, NOON, "price", fresh=3, unknown=0)  # until the next, 1 minute
    count(writer, NOON + MINUTE, "price", fresh=1, unknown=2)  # 2 minutes at most
    count(writer, NOON + 60 * MINUTE, "price", fresh=2, unknown=1)
    count(writer, NOON, "metrics", fresh=3, unknown=0)  # 10 minutes
    count(writer, NOON + 10 * MINUTE, "metrics", fresh=0, unknown=3)  # 20
    evening = datetime(2026, 11, 24, 0, 30, tzinfo=UTC)  # 19:30 in New York: still Monday
    count(writer, evening, "daily", fresh=3, unknown=0)
    found = {row["field_group"]: row for row in rows(reader, "SELECT * FROM coverage_by_day")}
    assert {str(row["day"]) for row in found.values()} == {str(date(2026, 11, 23))}
    sums = {name: found["price"][name] for name in ("minutes", "fresh", "unknown", "total")}
    assert sums == {"minutes": 5, "fresh": 3 + 2 + 4, "unknown": 0 + 4 + 2, "total": 15}
    assert found["price"]["share"] == 9 / 15
    assert (found["metrics"]["minutes"], found["metrics"]["fresh"]) == (30, 30)
    assert found["daily"]["share"] == 1.0


def test_a_ticker_that_nobody_answered_does_not_stand_before_the_newest_change(writer: Writer, reader: Engine) -> None:
    """PostgreSQL sorts NULLs first in a descending order."""
    row = PriceRow(ticker="B", price_usd=2.0, price_time=OPENS_AT, heard_at=NOON + MINUTE)
    flush_prices(writer, [row], price_source="stream", session_opens_at=OPENS_AT)
    first, second = rows(reader, SEED)
    assert (first["ticker"], first["current_price"], second["current_price"]) == ("B", 2.0, None)
    assert second["last_updated"] is not None


def test_rows_without_a_time_get_the_oldest_known_when_an_older_schema_is_brought_up(
    database_url: str, writer: Writer, reader: Engine
) -> None:
    row = PriceRow(ticker="B", price_usd=2.0, price_time=OPENS_AT, heard_at=NOON)
    flush_prices(writer, [row], price_source="stream", session_opens_at=OPENS_AT)
    schema_version.downgrade(database_url, "0001")
    engine = open_engine(database_url, service="test")
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE stocks_stock SET last_updated = NULL WHERE ticker <> 'B'")
    engine.dispose()
    schema_version.upgrade(database_url)
    times = {row["last_updated"] for row in rows(reader, "SELECT last_updated FROM stocks_stock")}
    assert len(times) == 1
    assert None not in times
