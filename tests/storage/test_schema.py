from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import BigInteger, Engine, Float, insert, select
from sqlalchemy.exc import StatementError

from storage.engine import open_engine
from storage.schema import METADATA, change_marker, parameter, stocks_stock

FACTS = "id ticker company_name exchange quote_type sector industry is_listed currency market_state"
PRICE = (
    "current_price price_change price_change_percent price_time price_source price_updated_at "
    "pre_market_price post_market_price"
)
METRICS = (
    "volume days_low days_high open_price previous_close bid_price ask_price bid_size ask_size "
    "week_52_low week_52_high avg_volume_3mon market_cap shares_outstanding pe_ratio forward_pe dividend_yield "
    "earnings_per_share book_value price_to_book next_earnings_date metrics_updated_at"
)
DAILY = "beta one_year_target daily_updated_at last_updated change_seq"
NEW_YORK = timezone(timedelta(hours=-5))
AT = datetime(2026, 11, 23, 9, 30, 0, 5, tzinfo=NEW_YORK)


def test_every_promised_column_is_there() -> None:
    promised = " ".join((FACTS, PRICE, METRICS, DAILY)).split()
    assert set(promised) <= set(stocks_stock.columns.keys())
    assert set(METADATA.tables) == {
        "stocks_stock",
        "stocks_daily_bar",
        "daily_progress",
        "listing_event",
        "daily_stale_field",
        "quality_refusal",
        "truth_audit",
        "truth_finding",
        "truth_witness",
        "scanner_run",
        "scanner_event",
        "coverage_minute",
        "proxy",
        "proxy_source",
        "app_meta",
        "lease",
        "change_marker",
        "scans",
        "scan_results",
        "scan_errors",
        "saved_scans",
        "signals",
        "signal_event",
        "users",
        "sign_in",
        "refresh_token",
        "api_token",
        "audit_log",
        "api_idempotency",
    }


def test_last_updated_has_no_index() -> None:
    indexed = {column.name for index in stocks_stock.indexes for column in index.columns}
    assert "last_updated" not in indexed


def test_numbers_are_doubles_and_counts_are_wide() -> None:
    assert isinstance(stocks_stock.c.current_price.type, Float)
    assert stocks_stock.c.current_price.type.precision == 53
    assert all(isinstance(stocks_stock.c[name].type, BigInteger) for name in ("id", "volume", "change_seq"))


@pytest.fixture
def engine(sqlite_file: Path) -> Engine:
    return open_engine(f"sqlite:///{sqlite_file}", service="test")


def test_a_time_is_kept_as_utc_text_and_comes_back_aware(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(insert(change_marker).values(source="s", seq=1, epoch=1, committed_at=AT))
        assert connection.exec_driver_sql("SELECT committed_at FROM change_marker").scalar() == (
            "2026-11-23 14:30:00.000005"
        )
        back = connection.execute(select(change_marker.c.committed_at)).scalar_one()
    assert (back, back.tzinfo) == (AT, UTC)
    engine.dispose()


def test_a_naive_time_is_refused(engine: Engine) -> None:
    naive = AT.replace(tzinfo=None)
    with pytest.raises(StatementError, match="has no time zone"), engine.begin() as connection:
        connection.execute(insert(change_marker).values(source="s", seq=1, epoch=1, committed_at=naive))
    with pytest.raises(ValueError, match="has no time zone"):
        parameter(naive, "sqlite")
    engine.dispose()


def test_parameters_of_bare_statements_have_the_same_form() -> None:
    assert parameter(AT, "sqlite") == "2026-11-23 14:30:00.000005"
    assert parameter(AT.replace(microsecond=0), "sqlite") == "2026-11-23 14:30:00.000000"
    assert parameter(AT, "postgresql") == AT
    assert parameter(date(2026, 11, 23), "sqlite") == "2026-11-23"
    assert parameter(1.5, "sqlite") == 1.5
