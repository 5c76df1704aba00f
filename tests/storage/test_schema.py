from __future__ import annotations

import storage.schema
from storage.schema import METADATA


def test_the_door_shows_every_table_by_its_own_name() -> None:
    named = {
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
    assert set(METADATA.tables) == named
    assert all(getattr(storage.schema, name) is METADATA.tables[name] for name in named)
