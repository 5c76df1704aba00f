from __future__ import annotations

from sqlalchemy import BigInteger, Float

from storage.tables.market import stocks_daily_bar, stocks_stock

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


def test_every_promised_column_is_there() -> None:
    promised = " ".join((FACTS, PRICE, METRICS, DAILY)).split()
    assert set(promised) <= set(stocks_stock.columns.keys())


def test_last_updated_has_no_index() -> None:
    indexed = {column.name for index in stocks_stock.indexes for column in index.columns}
    assert "last_updated" not in indexed


def test_numbers_are_doubles_and_counts_are_wide() -> None:
    assert isinstance(stocks_stock.c.current_price.type, Float)
    assert stocks_stock.c.current_price.type.precision == 53
    assert all(isinstance(stocks_stock.c[name].type, BigInteger) for name in ("id", "volume", "change_seq"))


def test_a_session_has_one_bar_a_ticker() -> None:
    assert [column.name for column in stocks_daily_bar.primary_key] == ["ticker", "session_date"]
