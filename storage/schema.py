"""Every table and column of the database, as SQLAlchemy Core metadata. Holds no statement and opens nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Dialect,
    Float,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
    true,
)

NEWEST_REVISION = "0006"
"""The schema that this program reads and writes; a test holds it against the newest migration."""
LARGEST_WHOLE = 2**63 - 1
"""What a BIGINT holds."""
VERSION_TABLE = "tickerd_schema"
"""Not Alembic's usual name, so that another application's database is never taken for ours."""


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC datetime; on SQLite the text `YYYY-MM-DD HH:MM:SS.ffffff`, which also sorts as time."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment = _in_utc(value)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Given(TypeDecorator[Any]):
    """JSON that another program may have written: of text that is none the text is read, for its reader to refuse."""

    impl = JSON
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: Any) -> Any:
        decode = super().result_processor(dialect, coltype)

        def read(value: Any) -> Any:
            try:
                return decode(value) if decode is not None else value
            except ValueError:
                return value

        return read


def _in_utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError(f"{at!r} has no time zone; pass an aware datetime")
    return at if at.tzinfo is UTC else at.astimezone(UTC)


def parameter(value: Any, dialect: str) -> Any:
    """Return `value` as a driver takes it in a statement that SQLAlchemy does not compile."""
    if isinstance(value, datetime):
        moment = _in_utc(value)
        return moment.isoformat(" ", "microseconds")[:26] if dialect == "sqlite" else moment  # cut before "+00:00"
    if isinstance(value, date) and dialect == "sqlite":
        return value.isoformat()
    return value


METADATA = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def _double(name: str) -> Column[float]:
    return Column(name, Float(53))


def _whole(name: str) -> Column[int]:
    return Column(name, BigInteger)


def _words(name: str) -> Column[str]:
    return Column(name, Text)


def _time(name: str) -> Column[datetime]:
    return Column(name, UtcTime)


def _id() -> Column[int]:
    return Column("id", BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True)


stocks_stock = Table(
    "stocks_stock",
    METADATA,
    _id(),
    Column("ticker", Text, nullable=False, unique=True),
    _words("company_name"),
    _words("exchange"),
    _words("quote_type"),
    _words("sector"),
    _words("industry"),
    Column("is_listed", Boolean, nullable=False, server_default=true()),
    _words("security_type"),
    _words("listed_by"),
    _words("seen_by"),
    Column("first_seen_date", Date),
    Column("missing_since", Date),
    _whole("missing_sessions"),
    _words("currency"),
    _words("market_state"),
    # price group
    _double("current_price"),
    _double("price_change"),
    _double("price_change_percent"),
    _time("price_time"),
    _words("price_source"),
    _time("price_updated_at"),
    _double("pre_market_price"),
    _double("post_market_price"),
    # metrics group
    _whole("volume"),
    _double("days_low"),
    _double("days_high"),
    _double("open_price"),
    _double("previous_close"),
    _double("bid_price"),
    _double("ask_price"),
    _whole("bid_size"),
    _whole("ask_size"),
    _double("week_52_low"),
    _double("week_52_high"),
    _whole("avg_volume_3mon"),
    _double("market_cap"),
    _double("shares_outstanding"),
    _double("pe_ratio"),
    _double("forward_pe"),
    _double("dividend_yield"),
    _double("earnings_per_share"),
    _double("book_value"),
    _double("price_to_book"),
    Column("next_earnings_date", Date),
    _time("metrics_updated_at"),
    # daily group
    _double("beta"),
    _double("one_year_target"),
    _words("recommendation"),
    _whole("analyst_count"),
    _double("dividend_rate"),
    Column("ex_dividend_date", Date),
    _double("profit_margin"),
    _double("revenue_ttm"),
    _double("ebitda"),
    _double("free_cash_flow"),
    _double("float_shares"),
    _whole("employees"),
    _words("country"),
    _words("financial_currency"),
    *(
        _double(name)
        for name in (
            *("target_low", "target_high", "payout_ratio", "return_on_equity", "return_on_assets", "gross_margin"),
            *("operating_margin", "revenue_growth", "earnings_growth", "debt_to_equity", "current_ratio", "total_cash"),
            *("total_debt", "operating_cash_flow", "shares_short", "short_percent_of_float", "held_by_insiders"),
            *("held_by_institutions", "last_split_ratio"),
        )
    ),
    Column("last_split_date", Date),
    _time("daily_updated_at"),
    # No index on last_updated: it costs every flush 1.4x and takes PostgreSQL's HOT updates away.
    _time("last_updated"),
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
    _double("adj_close"),
    _whole("volume"),
    Column("source", Text, nullable=False),
    postgresql_partition_by="RANGE (session_date)",  # a partition a year: storage/partitions.py
)

daily_progress = Table(
    "daily_progress",
    METADATA,
    Column("ticker", Text, primary_key=True),
    Column("session", Date, nullable=False),
    *(_words(name) for name in ("quote", "bar", "chart_need", "fundamentals", "chart")),
    _time("fundamentals_at"),
    _time("chart_at"),
    Column("bars_through", Date),
)

listing_event = Table(
    "listing_event",
    METADATA,
    _id(),
    Column("session", Date, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("ticker", Text, nullable=False, index=True),
    Column("event", Text, nullable=False),
    _words("former_ticker"),
    _words("reason"),
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
    _words("example"),
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
    _words("rule"),
    _double("held"),
    _double("told"),
    _words("reason"),
)

truth_witness = Table(
    "truth_witness",
    METADATA,
    Column("ticker", Text, primary_key=True),
    Column("session", Date, nullable=False),
    *(_double(name) for name in ("open", "high", "low", "close")),
    _whole("volume"),
    _time("price_time"),
    Column("at", UtcTime, nullable=False),
)

scanner_run = Table(
    "scanner_run",
    METADATA,
    _id(),
    Column("scanner", Text, nullable=False),
    Column("session", Date, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    _time("finished_at"),
    Column("status", Text, nullable=False),
    Column("expected", BigInteger, nullable=False),
    _whole("updated"),
    _whole("failed"),
    _whole("skipped"),
    Column("detail", JSON(none_as_null=True)),
)

scanner_event = Table(
    "scanner_event",
    METADATA,
    _id(),
    Column("at", UtcTime, nullable=False),
    Column("source", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("process", Text, nullable=False),
    Column("event", Text, nullable=False),
    _words("from_state"),
    _words("to_state"),
    _words("cause"),
    _whole("pid"),
    _whole("exit_code"),
    _whole("signal"),
    Column("detail", JSON(none_as_null=True)),
    UniqueConstraint("source", "seq"),
)

coverage_minute = Table(
    "coverage_minute",
    METADATA,
    Column("minute", UtcTime, primary_key=True),
    Column("field_group", Text, primary_key=True),
    Column("fresh", BigInteger, nullable=False),
    Column("unchanged", BigInteger, nullable=False),
    Column("no_trade", BigInteger, nullable=False),
    Column("unknown", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
)

proxy = Table(
    "proxy",
    METADATA,
    Column("address", Text, primary_key=True),
    Column("protocol", Text, primary_key=True),
    Column("state", Text, nullable=False),
    _words("exit_ip"),
    _words("source"),
    Column("ok", BigInteger, nullable=False, server_default=text("0")),
    Column("fail", BigInteger, nullable=False, server_default=text("0")),
    Column("fails_in_a_row", BigInteger, nullable=False, server_default=text("0")),
    Column("bad_certificate", Boolean, nullable=False, server_default=false()),
    _double("latency_ms"),
    Column("first_seen", UtcTime, nullable=False),
    _time("last_checked"),
    _time("last_ok"),
    _time("cool_until"),
    _words("last_error"),
    # What fades, as of scored_at.
    *(
        Column(name, Float(53), nullable=False, server_default=text("0"))
        for name in ("score_ok", "score_fail", "strikes")
    ),
    _time("scored_at"),
    # Bound to this exit: nobody's account, of no use through another.
    *(Column(name, Text, nullable=False, server_default=text("''")) for name in ("cookie", "crumb")),
    _time("minted_at"),
)

proxy_source = Table(
    "proxy_source",
    METADATA,
    Column("url", Text, primary_key=True),
    _time("fetched_at"),
    _whole("candidates"),
    _whole("live"),
    _whole("gold"),
    _words("last_error"),
    _words("etag"),
    _whole("entries"),
    _whole("refused"),
    _whole("fresh"),
    Column("fails_in_a_row", BigInteger, nullable=False, server_default=text("0")),
    _time("paused_until"),
)

app_meta = Table(
    "app_meta",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

lease = Table(
    "lease",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    _time("until"),
)

change_marker = Table(
    "change_marker",
    METADATA,
    Column("source", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("committed_at", UtcTime, nullable=False),
)

scans = Table(
    "scans",
    METADATA,
    Column("id", Text, primary_key=True),
    _words("name"),
    Column("request", Given, nullable=False),
    Column("status", Text, nullable=False, index=True),
    Column("created_at", UtcTime, nullable=False),
    _time("started_at"),
    _time("finished_at"),
    Column("cancel_requested", Boolean, nullable=False, server_default=false()),
    Column("data_as_of", Date),
    _whole("total"),
    _whole("processed"),
    _whole("signals"),
    _whole("high_value"),
    Column("exact", Boolean),
    _double("coverage"),
    _words("reason"),
    _double("accuracy"),
    Column("biased", JSON(none_as_null=True)),
    Column("timings", JSON(none_as_null=True)),
    Column("progress", JSON(none_as_null=True)),
    _words("error"),
    _words("file"),
)

scan_results = Table(
    "scan_results",
    METADATA,
    Column("scan_id", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("ticker", Text, nullable=False, index=True),
    Column("session", Date, nullable=False),
    _whole("rank"),
    _double("key"),
    _double("tech_rating"),
    _words("priority_tier"),
    Column("measured", JSON(none_as_null=True)),
    Column("flags", JSON(none_as_null=True)),
    Column("signal", JSON(none_as_null=True)),
)

scan_errors = Table(
    "scan_errors",
    METADATA,
    _id(),
    Column("scan_id", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    _words("stage"),
    _words("ticker"),
    Column("error", Text, nullable=False),
)

saved_scans = Table(
    "saved_scans",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("request", Given, nullable=False),
    Column("schedule", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    _time("last_run_at"),
    _words("last_scan_id"),
)

signals = Table(
    "signals",
    METADATA,
    _id(),
    Column("scan", Text, nullable=False),
    Column("scan_id", Text, nullable=False),
    Column("symbol", Text, nullable=False, index=True),
    Column("session", Date, nullable=False),
    _words("pattern"),
    _words("direction"),
    _double("entry_price"),
    _double("stop_loss"),
    _double("target1"),
    _double("target2"),
    _double("confidence"),
    _double("volume"),
    _double("atr"),
    _whole("position_size"),
    _double("risk_amount"),
    _double("hit_rate"),
    _double("hit_rate_low"),
    _double("hit_rate_high"),
    _whole("hit_events"),
    _double("tech_rating"),
    Column("confluence_factors", JSON(none_as_null=True)),
    Column("measured", JSON(none_as_null=True)),
    Column("provisional", Boolean, nullable=False, server_default=false()),
    Column("status", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    _time("left_at"),
    Index(None, "scan", "status"),
)

users = Table(
    "users",
    METADATA,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    Column("email", Text, unique=True),
    Column("password_hash", Text, nullable=False),
    _words("first_name"),
    _words("last_name"),
    Column("role", Text, nullable=False),
    Column("preferences", JSON(none_as_null=True)),
    Column("must_change_password", Boolean, nullable=False, server_default=false()),
    Column("is_active", Boolean, nullable=False, server_default=true()),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    _time("last_login"),
)

sign_in = Table(
    "sign_in",
    METADATA,
    _id(),
    Column("user_id", BigInteger, nullable=False, index=True),
    Column("kind", Text, nullable=False),
    # Of the page's cookie; the secret itself is nowhere.
    Column("secret_hash", Text, unique=True),
    _words("address"),
    _words("agent"),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    _time("ended_at"),
)

refresh_token = Table(
    "refresh_token",
    METADATA,
    Column("token_hash", Text, primary_key=True),
    Column("sign_in_id", BigInteger, nullable=False, index=True),
    Column("created_at", UtcTime, nullable=False),
    _time("used_at"),
)

api_token = Table(
    "api_token",
    METADATA,
    _id(),
    Column("user_id", BigInteger, nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("token_hash", Text, nullable=False, unique=True),
    Column("scopes", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    _time("expires_at"),
    _time("revoked_at"),
)

audit_log = Table(
    "audit_log",
    METADATA,
    _id(),
    Column("at", UtcTime, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    _words("address"),
    Column("detail", JSON(none_as_null=True)),
    Index(None, "action", "at"),
)

api_idempotency = Table(
    "api_idempotency",
    METADATA,
    Column("principal", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("method_path", Text, nullable=False),
    Column("body_hash", Text, nullable=False),
    Column("status", BigInteger),
    _words("headers"),
    Column("body", LargeBinary),
    Column("created_at", UtcTime, nullable=False),
)

signal_event = Table(
    "signal_event",
    METADATA,
    _id(),
    Column("signal_id", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
)

VIEWS = {
    "stocks_freshness": (
        "ticker",
        "price_age_s",
        "metrics_age_s",
        "daily_age_s",
        "price_updated_at",
        "metrics_updated_at",
        "daily_updated_at",
    ),
    "coverage_by_day": (
        "day",
        "field_group",
        "minutes",
        "fresh",
        "unchanged",
        "no_trade",
        "unknown",
        "total",
        "share",
    ),
}
"""View -> its columns; the migrations hold their statements."""
