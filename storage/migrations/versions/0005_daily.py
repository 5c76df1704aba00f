"""The universe and its events, fundamentals, what was refused, the truth audit; the daily bars in partitions.

On PostgreSQL the daily bars go into one partition a year. TimescaleDB wants them in one table again: docs/sql.md.
"""

from __future__ import annotations

from datetime import date

import sqlalchemy as sa
from alembic import op

from core.errors import FixByHand

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

DOUBLE = sa.Float(53)
TIME = sa.DateTime(timezone=True)
ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
BARS = "stocks_daily_bar"
FRACTIONS_AND_MONEY = (
    *("target_low", "target_high", "payout_ratio", "return_on_equity", "return_on_assets", "gross_margin"),
    *("operating_margin", "revenue_growth", "earnings_growth", "debt_to_equity", "current_ratio", "total_cash"),
    *("total_debt", "operating_cash_flow", "shares_short", "short_percent_of_float", "held_by_insiders"),
    *("held_by_institutions", "last_split_ratio"),
)
NEW_TABLES = (
    *("daily_progress", "listing_event", "daily_stale_field", "quality_refusal"),
    *("truth_audit", "truth_finding", "truth_witness"),
)


def _columns(kind: sa.types.TypeEngine, *names: str) -> list[sa.Column]:
    return [sa.Column(name, kind) for name in names]


def _known(kind: sa.types.TypeEngine, *names: str) -> list[sa.Column]:
    return [sa.Column(name, kind, nullable=False) for name in names]


def _of_a_stock() -> list[sa.Column]:
    return [
        *_columns(sa.Text(), "security_type", "listed_by", "seen_by"),
        *_columns(sa.Date(), "first_seen_date", "missing_since"),
        *_columns(sa.BigInteger(), "missing_sessions"),
        *_columns(sa.Text(), "country", "financial_currency"),
        *_columns(DOUBLE, *FRACTIONS_AND_MONEY),
        *_columns(sa.Date(), "last_split_date"),
    ]


def upgrade() -> None:
    for column in _of_a_stock():
        op.add_column("stocks_stock", column)
    _create_progress()
    _create_listing_event()
    _create_quality()
    _create_truth()
    if op.get_bind().dialect.name == "postgresql":
        _rebuild_bars(partitioned=True)


def _create_progress() -> None:
    op.create_table(
        "daily_progress",
        *_known(sa.Text(), "ticker"),
        *_known(sa.Date(), "session"),
        *_columns(sa.Text(), "quote", "bar", "chart_need", "fundamentals", "chart"),
        *_columns(TIME, "fundamentals_at", "chart_at"),
        *_columns(sa.Date(), "bars_through"),
        sa.PrimaryKeyConstraint("ticker", name="pk_daily_progress"),
    )


def _create_listing_event() -> None:
    op.create_table(
        "listing_event",
        sa.Column("id", ID, sa.Identity(), nullable=False),
        *_known(sa.Date(), "session"),
        *_known(TIME, "at"),
        *_known(sa.Text(), "ticker", "event"),
        *_columns(sa.Text(), "former_ticker", "reason"),
        sa.PrimaryKeyConstraint("id", name="pk_listing_event"),
    )
    op.create_index("ix_listing_event_ticker", "listing_event", ["ticker"])


def _create_quality() -> None:
    op.create_table(
        "daily_stale_field",
        *_known(sa.Text(), "ticker", "field"),
        *_known(sa.Date(), "last_seen"),
        sa.PrimaryKeyConstraint("ticker", "field", name="pk_daily_stale_field"),
    )
    op.create_table(
        "quality_refusal",
        *_known(sa.Date(), "session"),
        *_known(sa.Text(), "endpoint", "rule"),
        *_known(sa.BigInteger(), "refused"),
        *_columns(sa.Text(), "example"),
        sa.PrimaryKeyConstraint("session", "endpoint", "rule", name="pk_quality_refusal"),
    )


def _create_truth() -> None:
    op.create_table(
        "truth_audit",
        *_known(sa.Date(), "session"),
        *_known(TIME, "at"),
        *_known(
            sa.BigInteger(),
            *("asked", "exact", "differs", "not_comparable", "sampled", "outliers", "requests", "total"),
        ),
        sa.PrimaryKeyConstraint("session", name="pk_truth_audit"),
    )
    op.create_table(
        "truth_finding",
        *_known(sa.Date(), "session"),
        *_known(sa.Text(), "ticker", "field", "verdict"),
        *_columns(sa.Text(), "rule"),
        *_columns(DOUBLE, "held", "told"),
        *_columns(sa.Text(), "reason"),
        sa.PrimaryKeyConstraint("session", "ticker", "field", name="pk_truth_finding"),
    )
    op.create_table(
        "truth_witness",
        *_known(sa.Text(), "ticker"),
        *_known(sa.Date(), "session"),
        *_columns(DOUBLE, "open", "high", "low", "close"),
        *_columns(sa.BigInteger(), "volume"),
        *_columns(TIME, "price_time"),
        *_known(TIME, "at"),
        sa.PrimaryKeyConstraint("ticker", name="pk_truth_witness"),
    )


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        _rebuild_bars(partitioned=False)
    for table in reversed(NEW_TABLES):
        op.drop_table(table)
    for column in reversed(_of_a_stock()):
        op.drop_column("stocks_stock", column.name)


def _rebuild_bars(*, partitioned: bool) -> None:
    """Make the table anew in its other form, with every row and every right of before."""
    _refuse_views()
    op.rename_table(BARS, f"{BARS}_old")
    op.execute(f"ALTER TABLE {BARS}_old RENAME CONSTRAINT pk_{BARS} TO pk_{BARS}_old")
    _create_bars(partitioned=partitioned)
    if partitioned:
        for year in _years():
            span = f"FROM ('{year}-01-01') TO ('{year + 1}-01-01')"
            op.execute(f"CREATE TABLE {BARS}_{year} PARTITION OF {BARS} FOR VALUES {span}")
    op.execute(f"INSERT INTO {BARS} SELECT * FROM {BARS}_old ORDER BY ticker, session_date")
    _copy_rights()
    op.drop_table(f"{BARS}_old")


def _refuse_views() -> None:
    """A view stands on a table's number, not on its name: it would keep the old table alive."""
    views = sa.text(
        "SELECT DISTINCT ev_class::regclass::text FROM pg_rewrite JOIN pg_depend ON objid = pg_rewrite.oid "
        f"WHERE refobjid = '{BARS}'::regclass AND ev_class <> refobjid ORDER BY 1"
    )
    if found := op.get_bind().execute(views).scalars().all():
        right = f"drop {' and '.join(found)}, upgrade, and make what you dropped again"
        raise FixByHand(f"a view stands on {BARS}", right=right)


def _create_bars(*, partitioned: bool) -> None:
    form = {"postgresql_partition_by": "RANGE (session_date)"} if partitioned else {}
    op.create_table(
        BARS,
        *_known(sa.Text(), "ticker"),
        *_known(sa.Date(), "session_date"),
        *_known(DOUBLE, "open", "high", "low", "close"),
        *_columns(DOUBLE, "adj_close"),
        *_columns(sa.BigInteger(), "volume"),
        *_known(sa.Text(), "source"),
        sa.PrimaryKeyConstraint("ticker", "session_date", name=f"pk_{BARS}"),
        **form,
    )


def _years() -> range:
    """The years of all rows, this one and the next."""
    oldest, newest, today = (
        op.get_bind()
        .execute(sa.text(f"SELECT MIN(session_date), MAX(session_date), CURRENT_DATE FROM {BARS}_old"))
        .one()
    )
    days: list[date] = [day for day in (oldest, newest, today) if day is not None]
    return range(min(days).year, max(newest or today, today).year + 2)


def _copy_rights() -> None:
    """Grant on the new table what others were granted on the old one."""
    rights = sa.text(
        "SELECT grantee, privilege_type, is_grantable = 'YES' FROM information_schema.role_table_grants "
        f"WHERE table_schema = CURRENT_SCHEMA AND table_name = '{BARS}_old' AND grantee <> CURRENT_USER"
    )
    for grantee, right, may_grant in op.get_bind().execute(rights).all():
        who = "PUBLIC" if grantee == "PUBLIC" else '"' + grantee.replace('"', '""') + '"'
        op.execute(f"GRANT {right} ON {BARS} TO {who}" + (" WITH GRANT OPTION" if may_grant else ""))
