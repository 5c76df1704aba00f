"""Scans, what they found, saved scans, signals. Some columns of `signals` have the names that other tools know."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
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
    _create_scans()
    _create_saved()
    _create_signals()


def _create_scans() -> None:
    op.create_table(
        "scans",
        *_known(sa.Text(), "id"),
        *_columns(sa.Text(), "name"),
        *_known(sa.JSON(), "request"),
        *_known(sa.Text(), "status"),
        *_known(TIME, "created_at"),
        *_columns(TIME, "started_at", "finished_at"),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False, server_default=sa.false()),
        *_columns(sa.Date(), "data_as_of"),
        *_columns(sa.BigInteger(), "total", "processed", "signals", "high_value"),
        *_columns(sa.Boolean(), "exact"),
        *_columns(DOUBLE, "coverage"),
        *_columns(sa.Text(), "reason"),
        *_columns(DOUBLE, "accuracy"),
        *_columns(sa.JSON(), "biased", "timings", "progress"),
        *_columns(sa.Text(), "error", "file"),
        sa.PrimaryKeyConstraint("id", name="pk_scans"),
    )
    op.create_index("ix_scans_status", "scans", ["status"])
    op.create_table(
        "scan_results",
        *_known(sa.Text(), "scan_id"),
        *_known(sa.BigInteger(), "seq"),
        *_known(sa.Text(), "ticker"),
        *_known(sa.Date(), "session"),
        *_columns(sa.BigInteger(), "rank"),
        *_columns(DOUBLE, "key", "tech_rating"),
        *_columns(sa.Text(), "priority_tier"),
        *_columns(sa.JSON(), "measured", "flags", "signal"),
        sa.PrimaryKeyConstraint("scan_id", "seq", name="pk_scan_results"),
    )
    op.create_index("ix_scan_results_ticker", "scan_results", ["ticker"])
    op.create_table(
        "scan_errors",
        sa.Column("id", ID, sa.Identity(), nullable=False),
        *_known(sa.Text(), "scan_id"),
        *_known(TIME, "at"),
        *_columns(sa.Text(), "stage", "ticker"),
        *_known(sa.Text(), "error"),
        sa.PrimaryKeyConstraint("id", name="pk_scan_errors"),
    )


def _create_saved() -> None:
    op.create_table(
        "saved_scans",
        *_known(sa.Text(), "name"),
        *_known(sa.JSON(), "request"),
        *_known(sa.Text(), "schedule"),
        *_known(TIME, "created_at", "updated_at"),
        *_columns(TIME, "last_run_at"),
        *_columns(sa.Text(), "last_scan_id"),
        sa.PrimaryKeyConstraint("name", name="pk_saved_scans"),
    )


def _create_signals() -> None:
    op.create_table(
        "signals",
        sa.Column("id", ID, sa.Identity(), nullable=False),
        *_known(sa.Text(), "scan", "scan_id", "symbol"),
        *_known(sa.Date(), "session"),
        *_columns(sa.Text(), "pattern", "direction"),
        *_columns(DOUBLE, "entry_price", "stop_loss", "target1", "target2", "confidence", "volume", "atr"),
        *_columns(sa.BigInteger(), "position_size"),
        *_columns(DOUBLE, "risk_amount", "hit_rate", "hit_rate_low", "hit_rate_high"),
        *_columns(sa.BigInteger(), "hit_events"),
        *_columns(DOUBLE, "tech_rating"),
        *_columns(sa.JSON(), "confluence_factors", "measured"),
        sa.Column("provisional", sa.Boolean(), nullable=False, server_default=sa.false()),
        *_known(sa.Text(), "status"),
        *_known(TIME, "created_at", "updated_at"),
        *_columns(TIME, "left_at"),
        sa.PrimaryKeyConstraint("id", name="pk_signals"),
    )
    op.create_index("ix_signals_scan_status", "signals", ["scan", "status"])
    op.create_index("ix_signals_symbol", "signals", ["symbol"])


def downgrade() -> None:
    for table in ("signals", "saved_scans", "scan_errors", "scan_results", "scans"):
        op.drop_table(table)
