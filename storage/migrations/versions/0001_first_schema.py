"""The first schema. Frozen: later changes are migrations of their own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

DOUBLE = sa.Float(53)
TIME = sa.DateTime(timezone=True)
ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _columns(kind: sa.types.TypeEngine, *names: str) -> list[sa.Column]:
    return [sa.Column(name, kind) for name in names]


def _known(kind: sa.types.TypeEngine, *names: str) -> list[sa.Column]:
    return [sa.Column(name, kind, nullable=False) for name in names]


def upgrade() -> None:
    _create_stocks()
    _create_scanner_tables()
    _create_proxy_tables()
    _create_control_tables()


def _create_stocks() -> None:
    op.create_table(
        "stocks_stock",
        sa.Column("id", ID, sa.Identity(), nullable=False),
        *_known(sa.Text(), "ticker"),
        *_columns(sa.Text(), "company_name", "exchange", "quote_type", "sector", "industry"),
        sa.Column("is_listed", sa.Boolean(), nullable=False, server_default=sa.true()),
        *_columns(sa.Text(), "currency", "market_state"),
        *_columns(DOUBLE, "current_price", "price_change", "price_change_percent"),
        *_columns(TIME, "price_time"),
        *_columns(sa.Text(), "price_source"),
        *_columns(TIME, "price_updated_at"),
        *_columns(DOUBLE, "pre_market_price", "post_market_price"),
        *_columns(sa.BigInteger(), "volume"),
        *_columns(DOUBLE, "days_low", "days_high", "open_price", "previous_close", "bid_price", "ask_price"),
        *_columns(sa.BigInteger(), "bid_size", "ask_size"),
        *_columns(DOUBLE, "week_52_low", "week_52_high"),
        *_columns(sa.BigInteger(), "avg_volume_3mon"),
        *_columns(DOUBLE, "market_cap", "shares_outstanding", "pe_ratio", "forward_pe", "dividend_yield"),
        *_columns(DOUBLE, "earnings_per_share", "book_value", "price_to_book"),
        *_columns(sa.Date(), "next_earnings_date"),
        *_columns(TIME, "metrics_updated_at"),
        *_columns(DOUBLE, "beta", "one_year_target"),
        *_columns(sa.Text(), "recommendation"),
        *_columns(sa.BigInteger(), "analyst_count"),
        *_columns(DOUBLE, "dividend_rate"),
        *_columns(sa.Date(), "ex_dividend_date"),
        *_columns(DOUBLE, "profit_margin", "revenue_ttm", "ebitda", "free_cash_flow", "float_shares"),
        *_columns(sa.BigInteger(), "employees"),
        *_columns(TIME, "daily_updated_at", "last_updated"),
        sa.Column("change_seq", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.PrimaryKeyConstraint("id", name="pk_stocks_stock"),
        sa.UniqueConstraint("ticker", name="uq_stocks_stock_ticker"),
    )
    if op.get_bind().dialect.name == "postgresql":
        # Free room in each page keeps every flush a HOT update; vacuum often, by count: the table is rewritten all day.
        op.execute(
            "ALTER TABLE stocks_stock SET (fillfactor=45, autovacuum_vacuum_scale_factor=0, "
            "autovacuum_vacuum_threshold=20000, autovacuum_analyze_threshold=50000, autovacuum_analyze_scale_factor=0)"
        )
    op.create_table(
        "stocks_daily_bar",
        *_known(sa.Text(), "ticker"),
        *_known(sa.Date(), "session_date"),
        *_known(DOUBLE, "open", "high", "low", "close"),
        *_columns(DOUBLE, "adj_close"),
        *_columns(sa.BigInteger(), "volume"),
        *_known(sa.Text(), "source"),
        sa.PrimaryKeyConstraint("ticker", "session_date", name="pk_stocks_daily_bar"),
    )


def _create_scanner_tables() -> None:
    op.create_table(
        "scanner_run",
        sa.Column("id", ID, sa.Identity(), nullable=False),
        *_known(sa.Text(), "scanner"),
        *_known(sa.Date(), "session"),
        *_known(TIME, "started_at"),
        *_columns(TIME, "finished_at"),
        *_known(sa.Text(), "status"),
        *_known(sa.BigInteger(), "expected"),
        *_columns(sa.BigInteger(), "updated", "failed", "skipped"),
        *_columns(sa.JSON(), "detail"),
        sa.PrimaryKeyConstraint("id", name="pk_scanner_run"),
    )
    op.create_table(
        "scanner_event",
        sa.Column("id", ID, sa.Identity(), nullable=False),
        *_known(TIME, "at"),
        *_known(sa.Text(), "source"),
        *_known(sa.BigInteger(), "seq"),
        *_known(sa.Text(), "process", "event"),
        *_columns(sa.Text(), "from_state", "to_state", "cause"),
        *_columns(sa.BigInteger(), "pid", "exit_code", "signal"),
        *_columns(sa.JSON(), "detail"),
        sa.PrimaryKeyConstraint("id", name="pk_scanner_event"),
        sa.UniqueConstraint("source", "seq", name="uq_scanner_event_source_seq"),
    )
    op.create_table(
        "coverage_minute",
        *_known(TIME, "minute"),
        *_known(sa.Text(), "field_group"),
        *_known(sa.BigInteger(), "fresh", "unchanged", "no_trade", "unknown", "total"),
        sa.PrimaryKeyConstraint("minute", "field_group", name="pk_coverage_minute"),
    )


def _create_proxy_tables() -> None:
    op.create_table(
        "proxy",
        *_known(sa.Text(), "address", "protocol", "state"),
        *_columns(sa.Text(), "exit_ip", "source"),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False, server_default=sa.text("0"))
            for name in ("ok", "fail", "fails_in_a_row")
        ),
        sa.Column("bad_certificate", sa.Boolean(), nullable=False, server_default=sa.false()),
        *_columns(DOUBLE, "latency_ms"),
        *_known(TIME, "first_seen"),
        *_columns(TIME, "last_checked", "last_ok", "cool_until"),
        *_columns(sa.Text(), "last_error"),
        sa.PrimaryKeyConstraint("address", "protocol", name="pk_proxy"),
    )
    op.create_table(
        "proxy_source",
        *_known(sa.Text(), "url"),
        *_columns(TIME, "fetched_at"),
        *_columns(sa.BigInteger(), "candidates", "live", "gold"),
        *_columns(sa.Text(), "last_error"),
        sa.PrimaryKeyConstraint("url", name="pk_proxy_source"),
    )


def _create_control_tables() -> None:
    op.create_table(
        "app_meta",
        *_known(sa.Text(), "key", "value"),
        sa.PrimaryKeyConstraint("key", name="pk_app_meta"),
    )
    op.create_table(
        "lease",
        *_known(sa.Text(), "name", "holder"),
        *_known(sa.BigInteger(), "epoch"),
        *_columns(TIME, "until"),
        sa.PrimaryKeyConstraint("name", name="pk_lease"),
    )
    op.create_table(
        "change_marker",
        *_known(sa.Text(), "source"),
        *_known(sa.BigInteger(), "seq", "epoch"),
        *_known(TIME, "committed_at"),
        sa.PrimaryKeyConstraint("source", name="pk_change_marker"),
    )


def downgrade() -> None:
    for table in (
        "change_marker",
        "lease",
        "app_meta",
        "proxy_source",
        "proxy",
        "coverage_minute",
        "scanner_event",
        "scanner_run",
        "stocks_daily_bar",
        "stocks_stock",
    ):
        op.drop_table(table)
