"""Tables of the market: tickers, daily bars, the daily refresh, what was found untrue. Holds no statement."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Date, Float, Table, Text, text, true

from storage.tables.columns import METADATA, UtcTime, double, moment, own_id, whole, words

stocks_stock = Table(
    "stocks_stock",
    METADATA,
    own_id(),
    Column("ticker", Text, nullable=False, unique=True),
    words("company_name"),
    words("exchange"),
    words("quote_type"),
    words("sector"),
    words("industry"),
    Column("is_listed", Boolean, nullable=False, server_default=true()),
    words("security_type"),
    words("listed_by"),
    words("seen_by"),
    Column("first_seen_date", Date),
    Column("missing_since", Date),
    whole("missing_sessions"),
    words("currency"),
    words("market_state"),
    # price group
    double("current_price"),
    double("price_change"),
    double("price_change_percent"),
    moment("price_time"),
    words("price_source"),
    moment("price_updated_at"),
    double("pre_market_price"),
    double("post_market_price"),
    # metrics group
    whole("volume"),
    double("days_low"),
    double("days_high"),
    double("open_price"),
    double("previous_close"),
    double("bid_price"),
    double("ask_price"),
    whole("bid_size"),
    whole("ask_size"),
    double("week_52_low"),
    double("week_52_high"),
    whole("avg_volume_3mon"),
    double("market_cap"),
    double("shares_outstanding"),
    double("pe_ratio"),
    double("forward_pe"),
    double("dividend_yield"),
    double("earnings_per_share"),
    double("book_value"),
    double("price_to_book"),
    Column("next_earnings_date", Date),
    moment("metrics_updated_at"),
    # daily group
    double("beta"),
    double("one_year_target"),
    words("recommendation"),
    whole("analyst_count"),
    double("dividend_rate"),
    Column("ex_dividend_date", Date),
    double("profit_margin"),
    double("revenue_ttm"),
    double("ebitda"),
    double("free_cash_flow"),
    double("float_shares"),
    whole("employees"),
    words("country"),
    words("financial_currency"),
    *(
        double(name)
        for name in (
            *("target_low", "target_high", "payout_ratio", "return_on_equity", "return_on_assets", "gross_margin"),
            *("operating_margin", "revenue_growth", "earnings_growth", "debt_to_equity", "current_ratio", "total_cash"),
            *("total_debt", "operating_cash_flow", "shares_short", "short_percent_of_float", "held_by_insiders"),
            *("held_by_institutions", "last_split_ratio"),
        )
    ),
    Column("last_split_date", Date),
    moment("daily_updated_at"),
    # No index on last_updated: it costs every flush 1.4x and takes PostgreSQL's HOT updates away.
    moment("last_updated"),
    Column("change_seq", BigInteger, nullable=False, server_default=text("0")),
)

stocks_daily_bar = Table(
    "stocks_daily_bar",
    METADATA,
    Column("ticker", Text, primary_key=True),
    Column("session_date", Date, primary_key=True),
    Column("open", Float(53), nullable=False),
    Column("high", Float(53), nullable=False),
    Column("low", Float(53), nullable=False),
    Column("close", Float(53), nullable=False),
    double("adj_close"),
    whole("volume"),
    Column("source", Text, nullable=False),
    postgresql_partition_by="RANGE (session_date)",  # a partition a year: storage/partitions.py
)

daily_progress = Table(
    "daily_progress",
    METADATA,
    Column("ticker", Text, primary_key=True),
    Column("session", Date, nullable=False),
    *(words(name) for name in ("quote", "bar", "chart_need", "fundamentals", "chart")),
    moment("fundamentals_at"),
    moment("chart_at"),
    Column("bars_through", Date),
)

listing_event = Table(
    "listing_event",
    METADATA,
    own_id(),
    Column("session", Date, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("ticker", Text, nullable=False, index=True),
    Column("event", Text, nullable=False),
    words("former_ticker"),
    words("reason"),
)

daily_stale_field = Table(
    "daily_stale_field",
    METADATA,
    Column("ticker", Text, primary_key=True),
    Column("field", Text, primary_key=True),
    Column("last_seen", Date, nullable=False),
)

quality_refusal = Table(
    "quality_refusal",
    METADATA,
    Column("session", Date, primary_key=True),
    Column("endpoint", Text, primary_key=True),
    Column("rule", Text, primary_key=True),
    Column("refused", BigInteger, nullable=False),
    words("example"),
)

truth_audit = Table(
    "truth_audit",
    METADATA,
    Column("session", Date, primary_key=True),
    Column("at", UtcTime, nullable=False),
    *(
        Column(name, BigInteger, nullable=False)
        for name in ("asked", "exact", "differs", "not_comparable", "sampled", "outliers", "requests", "total")
    ),
)

truth_finding = Table(
    "truth_finding",
    METADATA,
    Column("session", Date, primary_key=True),
    Column("ticker", Text, primary_key=True),
    Column("field", Text, primary_key=True),
    Column("verdict", Text, nullable=False),
    words("rule"),
    double("held"),
    double("told"),
    words("reason"),
)

truth_witness = Table(
    "truth_witness",
    METADATA,
    Column("ticker", Text, primary_key=True),
    Column("session", Date, nullable=False),
    *(double(name) for name in ("open", "high", "low", "close")),
    whole("volume"),
    moment("price_time"),
    Column("at", UtcTime, nullable=False),
)
