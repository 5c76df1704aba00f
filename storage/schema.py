"""The database as a whole: every table, its revision, its views. Declares no table itself and opens nothing."""

from __future__ import annotations

from storage.tables.accounts import (
    api_idempotency,
    api_token,
    audit_log,
    refresh_token,
    sign_in,
    users,
)
from storage.tables.columns import LARGEST_WHOLE, METADATA, Given, UtcTime, parameter
from storage.tables.market import (
    daily_progress,
    daily_stale_field,
    listing_event,
    quality_refusal,
    stocks_daily_bar,
    stocks_stock,
    truth_audit,
    truth_finding,
    truth_witness,
)
from storage.tables.operation import (
    app_meta,
    change_marker,
    coverage_minute,
    lease,
    proxy,
    proxy_source,
    scanner_event,
    scanner_run,
)
from storage.tables.scans import (
    saved_scans,
    scan_errors,
    scan_results,
    scans,
    signal_event,
    signals,
)

__all__ = [
    "LARGEST_WHOLE",
    "METADATA",
    "NEWEST_REVISION",
    "VERSION_TABLE",
    "VIEWS",
    "Given",
    "UtcTime",
    "api_idempotency",
    "api_token",
    "app_meta",
    "audit_log",
    "change_marker",
    "coverage_minute",
    "daily_progress",
    "daily_stale_field",
    "lease",
    "listing_event",
    "parameter",
    "proxy",
    "proxy_source",
    "quality_refusal",
    "refresh_token",
    "saved_scans",
    "scan_errors",
    "scan_results",
    "scanner_event",
    "scanner_run",
    "scans",
    "sign_in",
    "signal_event",
    "signals",
    "stocks_daily_bar",
    "stocks_stock",
    "truth_audit",
    "truth_finding",
    "truth_witness",
    "users",
]

NEWEST_REVISION = "0006"
"""The schema that this program reads and writes; a test holds it against the newest migration."""
VERSION_TABLE = "tickerd_schema"
"""Not Alembic's usual name, so that another application's database is never taken for ours."""

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
