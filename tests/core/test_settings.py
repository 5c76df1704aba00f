from typing import Any

import msgspec
import pytest

from core.config import all_keys
from core.settings import LISTS, RESERVED_SECTIONS, Settings

DOCUMENTED: dict[str, Any] = {
    "state.dir": ".tickerd",
    "database.url": "sqlite:///tickerd.db",
    "database.auto_upgrade": None,  # true for SQLite, false for PostgreSQL
    "network.proxy": "",
    "network.ca_file": "",
    "network.start_requests_per_s": 0.25,
    "network.max_requests_per_s": 2.0,
    "market.calendar": "XNYS",
    "market.timezone": "America/New_York",
    "market.open": "09:30",
    "market.close": "16:00",
    "market.overrides_file": "",
    "market.warmup_s": 30.0,
    "market.linger_s": 300.0,
    "universe.file": "",
    "universe.include_etfs": True,
    "universe.limit": 0,
    "prices.enabled": True,
    "prices.stream_url": "wss://streamer.finance.yahoo.com/?version=2",
    "prices.symbols_per_connection": 99,
    "prices.canary": "BTC-USD",
    "prices.flush_interval_s": 1.0,
    "prices.stall_timeout_s": 45.0,
    "prices.cycle_s": 60.0,
    "prices.audit": True,
    "prices.minute_bars": False,
    "prices.minute_bars_keep_sessions": 90,
    "prices.flight_recorder_mb": 0,
    "metrics.enabled": True,
    "metrics.interval_s": 600.0,
    "metrics.cycle_deadline_s": 570.0,
    "metrics.batch_size": 100,
    "metrics.concurrency": 8,
    "metrics.rest_s": 12.0,
    "metrics.direct": "fallback",
    "metrics.flight_recorder_mb": 0,
    "daily.enabled": True,
    "daily.at": "16:30",
    "daily.window": "",
    "daily.threads": 50,
    "daily.history_days": 400,
    "daily.drop_after_days": 30,
    "proxies.file": "http_proxies.txt",
    "proxies.sources": LISTS,
    "proxies.refresh_interval_s": 3600.0,
    "proxies.wanted": 100,
    "proxies.own_networks": [],
    "proxies.own": [],
    "supervisor.ready_timeout_s": 60.0,
    "supervisor.heartbeat_timeout_s": 30.0,
    "supervisor.stop_timeout_s": 8.0,
    "supervisor.backoff_max_s": 60.0,
    "supervisor.breaker_count": 5,
    "supervisor.breaker_window_s": 300.0,
    "supervisor.memory_soft_mb": 400.0,
    "supervisor.memory_hard_mb": 600.0,
    "supervisor.manual_stop": "session",
    "supervisor.max_runtime_s": 0.0,
    "logging.level": "info",
    "logging.format": "auto",
    "logging.dir": "logs",
    "logging.max_mb": 50.0,
    "logging.keep": 10,
    "alerts.command": "",
    "alerts.repeat_s": 3600.0,
    "api.enabled": True,
    "api.host": "127.0.0.1",
    "api.port": 8000,
    "api.auth": True,
    "api.secret": None,
    "api.allowed_hosts": [],
    "api.cors_origins": [],
    "api.trusted_proxies": [],
    "api.docs": True,
    "api.max_body_kb": 64,
    "api.requests_per_s": 50.0,
    "api.burst": 200,
    "api.max_streams": 1000,
    "api.max_streams_per_user": 100,
    "backup.enabled": False,
    "backup.at": "18:30",
    "backup.dir": "backups",
    "backup.keep": 7,
    "retention.coverage_minute_days": 90,
    "retention.scanner_event_days": 180,
    "retention.scanner_run_days": 400,
    "retention.scan_days": 90,
    "retention.signal_days": 400,
    "retention.daily_bar_days": 3650,
    "retention.listing_event_days": 3650,
    "retention.audit_days": 400,
    "risk.account_usd": 100_000.0,
    "risk.risk_per_trade_percent": 2.0,
    "risk.portfolio_heat_percent": 6.0,
    "risk.max_positions": 10,
    "risk.target_r": 2.0,
    "risk.max_volume_percent": 5.0,
    "screener.enabled": True,
    "screener.prioritization": True,
    "screener.streaming": True,
    "screener.early_termination": True,
    "screener.max_concurrent_streams": 100,
    "screener.stream_timeout_s": 300.0,
    "screener.max_workers": 200,
    "screener.use_cache": True,
    "screener.results_dir": "scan_results",
    "screener.memory_soft_mb": 2000.0,
    "screener.memory_hard_mb": 3000.0,
}


def test_every_documented_key_exists_with_its_default_and_no_other_does() -> None:
    tree = msgspec.to_builtins(Settings())
    found = {f"{section}.{key}": value for section, keys in tree.items() for key, value in keys.items()}
    assert found == DOCUMENTED


def test_every_default_passes_the_check_that_a_written_value_gets() -> None:
    assert msgspec.convert(msgspec.to_builtins(Settings()), Settings) == Settings()


def test_the_names_kept_for_later_parts_are_no_sections_yet() -> None:
    assert RESERVED_SECTIONS == (
        "notify",
        "providers",
        "cluster",
        "redis",
    )
    assert not {key.split(".")[0] for key in all_keys()} & set(RESERVED_SECTIONS)


def test_settings_cannot_be_changed_after_they_were_read() -> None:
    with pytest.raises(AttributeError):
        Settings().prices.cycle_s = 5.0  # type: ignore[misc]
