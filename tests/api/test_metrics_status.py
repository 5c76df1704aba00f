from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from api.metrics import Sheet
from api.metrics_status import put_status

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
PROCESS: dict[str, Any] = {
    "name": "prices",
    "state": "running",
    "wanted": True,
    "pid": 7,
    "since": "2026-11-23T14:00:00.000Z",
    "beat_age_s": 1.5,
    "rss_mb": 120.5,
    "cpu_percent": 25.0,
}
RESTING = PROCESS | dict.fromkeys(("pid", "beat_age_s", "rss_mb", "cpu_percent"))


def told(*, alerts: list[dict[str, Any]], market: str = "open", **process: Any) -> list[str]:
    sheet = Sheet()
    document = {"market": {"state": market}, "processes": [PROCESS | process], "alerts": alerts}
    put_status(sheet, document, now=NOW)
    return [line for line in sheet.text().decode().splitlines() if not line.startswith("#")]


def test_a_running_process_is_up_and_has_beaten() -> None:
    lines = told(alerts=[])
    at_s = int(NOW.timestamp())
    assert 'stocks_scanner_up{scanner="prices"} 1' in lines and "stocks_market_open 1" in lines
    assert f'stocks_scanner_last_heartbeat_timestamp_seconds{{scanner="prices"}} {at_s - 1.5}' in lines
    assert f'stocks_scanner_start_time_seconds{{scanner="prices"}} {at_s - 3600}' in lines
    assert 'stocks_process_resident_memory_bytes{process="prices"} 120500000' in lines
    assert 'stocks_process_cpu_ratio{process="prices"} 0.25' in lines
    assert 'stocks_upstream_circuit_open{provider="yahoo"} 0' in lines


def test_one_that_rests_has_neither_memory_nor_beat() -> None:
    lines = told(alerts=[], market="closed", **(RESTING | {"state": "waiting", "wanted": False}))
    assert 'stocks_scanner_up{scanner="prices"} 0' in lines and 'stocks_scanner_wanted{scanner="prices"} 0' in lines
    assert "stocks_market_open 0" in lines
    assert not any(word in line for line in lines for word in ("heartbeat", "start_time", "resident", "cpu"))


def test_an_upstream_that_refuses_is_a_matter_and_an_open_circuit() -> None:
    lines = told(alerts=[{"alert": "upstream_refusing", "process": None, "since": "2026-11-23T14:58:00.000Z"}])
    assert 'stocks_alert{alert="upstream_refusing",process=""} 1' in lines
    assert 'stocks_upstream_circuit_open{provider="yahoo"} 1' in lines
    assert 'stocks_upstream_rate_limit_wait_seconds{provider="yahoo"} 120' in lines
