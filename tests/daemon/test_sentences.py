from __future__ import annotations

import io

from core import logs
from daemon.sentences import SENTENCES

BANNER = """\
================================================================================
STOCK SCANNER ORCHESTRATOR
================================================================================
Market hours: 09:30 AM - 04:00 PM ET
Trading days: Monday - Friday
Daily scanner: 04:30 PM ET
Current time: 10:15 AM ET
================================================================================
"""
STARTED = {
    "at": "2026-11-23T15:15:00.000Z",
    "calendar": "XNYS",
    "opens": "09:30",
    "closes": "16:00",
    "timezone": "America/New_York",
    "daily_at": "16:30",
    "daily_enabled": True,
}


def said(event: str, **keys: object) -> str:
    return SENTENCES[event]({"message": event, **keys})


def test_the_banner_is_the_known_one() -> None:
    assert said("orchestrator_started", **STARTED) == BANNER


def test_the_banner_of_an_endless_market_says_so() -> None:
    text = said("orchestrator_started", **STARTED | {"calendar": "always", "daily_enabled": False})
    assert "Market hours: around the clock\nTrading days: every day\nDaily scanner: disabled\n" in text


def test_another_zone_is_called_by_its_own_name() -> None:
    text = said("orchestrator_started", **STARTED | {"timezone": "Europe/Berlin"})
    assert "Current time: 04:15 PM CET" in text


def test_the_lines_of_a_morning() -> None:
    assert said("market_opened") == "[MARKET] Market is OPEN - Starting scanners..."
    assert said("scanner_started", process="prices", pid=12345) == "[START] 1-minute scanner started (PID: 12345)"
    assert said("scanner_started", process="metrics", pid=12346) == "[START] 10-minute scanner started (PID: 12346)"
    assert said("scanner_started", process="daily", pid=7) == "[START] daily scanner started (PID: 7)"
    assert said("scanner_started", process="recorder", pid=8) == "[START] recorder started (PID: 8)"


def test_a_closed_market_names_its_next_open() -> None:
    line = said(
        "market_closed",
        opens_at="2026-11-27T14:30:00.000Z",
        reason="Thanksgiving Day",
        timezone="America/New_York",
    )
    assert line == "[MARKET] Market is CLOSED (Thanksgiving Day) - Next open: Friday, November 27 at 09:30 AM ET"
    line = said("market_closed", opens_at=None)
    assert line == "[MARKET] Market is CLOSED - The calendar lists no further session"


def test_the_status_line_ends_with_the_coverage() -> None:
    coverage = {
        "price": {"fresh": 8774, "unchanged": 5, "no_trade": 2, "unknown": 1, "total": 8782},
        "metrics": {"fresh": 8782, "total": 8782},
        "daily": {"fresh": 0, "total": 0},
    }
    keys = {"at": "2026-11-23T15:00:00.000Z", "timezone": "America/New_York", "scanners": "RUNNING"}
    assert said("status_reported", **keys, coverage={}) == "[STATUS] 10:00 AM ET - Scanners: RUNNING"
    assert said("status_reported", **keys, coverage=coverage) == (
        "[STATUS] 10:00 AM ET - Scanners: RUNNING - prices 8,774 of 8,782 fresh, metrics 8,782 of 8,782 fresh"
    )


def test_a_restart_and_a_stop_say_why() -> None:
    restart = said("scanner_restarted", process="prices", pid=9, detail="exit code 1: boom")
    assert restart == "[RESTART] 1-minute scanner restarted (PID: 9) after exit code 1: boom"
    stop = said("scanner_stopping", process="prices", pid=9, cause="operator")
    assert stop == "[STOP] 1-minute scanner is being stopped (PID: 9): by hand"


def test_every_sentence_can_be_said_of_what_the_state_machine_sends() -> None:
    for event in SENTENCES.keys() - {"orchestrator_started", "status_reported", "market_closed"}:
        assert said(event, process="prices", pid=1, cause="schedule", alert="breaker_open", detail="x").startswith("[")


def test_text_logs_show_the_sentences() -> None:
    stream = io.StringIO()
    logs.configure(service="tickerd", level="info", style="text", stream=stream, sentences=SENTENCES)
    logs.get_logger("daemon").info("market_opened", session="2026-11-23")
    assert stream.getvalue() == "[MARKET] Market is OPEN - Starting scanners...\n"
