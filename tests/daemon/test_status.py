from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.progress import Progress
from core.settings import Settings
from daemon.child_logs import ChildLog
from daemon.crew import Heard, LastExit, Member, Program
from daemon.lifecycle import Child, State, Want
from daemon.resources import Usage
from daemon.status import Database, Snapshot, all_wanted_run, document, in_words, market
from market.sessions import build_calendar

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
XNYS = build_calendar(Settings().market, read=lambda path: "")


def member(folder: Path, name: str, state: State, *, wanted: bool = True, heard: Heard | None = None) -> Member:
    live = state in (State.STARTING, State.RUNNING, State.STOPPING)
    child = Child(name=name, state=state, since_s=940.0, want=Want(wanted=wanted), pid=77 if live else None)
    log = ChildLog(folder, name, max_mb=1, keep=1)
    return Member(program=Program(module=name), child=child, log=log, heard=heard or Heard())


def snapshot(*members: Member) -> Snapshot:
    return Snapshot(
        now=NOW,
        now_s=1000.0,
        state="running",
        pid=5,
        since=NOW,
        since_s=100.0,
        market=market(XNYS, NOW),
        members={each.child.name: each for each in members},
        database=Database(url="postgresql+psycopg://u:secret@host/db", reachable=True),
    )


def test_the_document_shows_a_running_process(tmp_path: Path) -> None:
    heard = Heard(
        beat_s=998.5,
        data_s=990.0,
        progress=Progress(stage="quotes", done=1, total=2),
        coverage={"price": {"fresh": 1, "total": 2}},
        facts={"origin": "practice"},
    )
    prices = member(tmp_path, "prices", State.RUNNING, heard=heard)
    prices.usage = Usage(rss_mb=91.26, cpu_s=1.0, cpu_percent=3.21, open_files=12, open_files_limit=4096)
    prices.last_exit = LastExit(at=NOW, code=1, signal=None, cause="crash")
    shown = document(snapshot(prices))
    assert shown["processes"] == [
        {
            "name": "prices",
            "state": "running",
            "wanted": True,
            "pid": 77,
            "since": "2026-11-23T14:59:00.000Z",
            "reason": "",
            "restarts": 0,
            "last_exit": {"at": "2026-11-23T15:00:00.000Z", "code": 1, "signal": None, "cause": "crash"},
            "beat_age_s": 1.5,
            "data_age_s": 10.0,
            "survivors": 0,
            "open_files": 12,
            "rss_mb": 91.3,
            "cpu_percent": 3.2,
            "progress": {"stage": "quotes", "done": 1, "total": 2, "eta_s": None},
        }
    ]
    assert shown["coverage"] == {"price": {"fresh": 1, "total": 2}}
    assert shown["database"] == {"url": "postgresql+psycopg://u:***@host/db", "origin": "practice", "reachable": True}
    assert shown["market"] == {
        "session": "2026-11-23",
        "state": "open",
        "opens_at": "2026-11-23T14:30:00.000Z",
        "closes_at": "2026-11-23T21:00:00.000Z",
        "reason": "",
    }
    assert (shown["version"], shown["state"], shown["pid"], shown["alerts"]) == (1, "running", 5, [])


@pytest.mark.parametrize(
    ("at", "session", "reason"),
    [
        ("2026-11-26T15:00:00Z", "2026-11-27", "Thanksgiving Day"),
        ("2026-11-23T14:00:00Z", "2026-11-23", "before the open"),
        ("2026-11-23T22:00:00Z", "2026-11-24", "after the close"),
        ("2026-11-22T15:00:00Z", "2026-11-23", "Sunday"),
    ],
)
def test_a_closed_market_shows_the_next_session_and_why(at: str, session: str, reason: str) -> None:
    shown = market(XNYS, datetime.fromisoformat(at))
    assert (shown["state"], shown["session"], shown["reason"]) == ("closed", session, reason)


def test_all_is_well_only_if_each_wanted_process_runs(tmp_path: Path) -> None:
    running, waiting = (
        member(tmp_path, "prices", State.RUNNING),
        member(tmp_path, "daily", State.WAITING, wanted=False),
    )
    broken = member(tmp_path, "metrics", State.BACKOFF)
    assert all_wanted_run(document(snapshot(running, waiting)))
    assert not all_wanted_run(document(snapshot(running, broken)))
    assert not all_wanted_run(document(replace(snapshot(running), state="starting")))


def test_a_process_that_only_computes_is_told(tmp_path: Path) -> None:
    spinning = member(tmp_path, "metrics", State.RUNNING)
    spinning.spins = True
    (alert,) = document(snapshot(spinning))["alerts"]
    assert (alert["alert"], alert["process"]) == ("cpu_spun", "metrics")


def test_a_process_that_an_operator_stopped_is_not_amiss(tmp_path: Path) -> None:
    held = member(tmp_path, "prices", State.HELD)
    held.child = replace(held.child, held_session="2026-11-23")
    assert all_wanted_run(document(snapshot(held)))


def test_the_status_line_in_words(tmp_path: Path) -> None:
    recorder, prices = member(tmp_path, "recorder", State.RUNNING), member(tmp_path, "prices", State.RUNNING)
    assert in_words(document(snapshot(recorder, prices))) == "RUNNING"
    assert in_words(document(snapshot(recorder))) == "WAITING"
    broken = member(tmp_path, "metrics", State.OPEN)
    assert in_words(document(snapshot(prices, broken))) == "DEGRADED (metrics open)"
    assert in_words(document(replace(snapshot(), state="starting"))) == "DEGRADED (starting)"


def test_an_open_breaker_is_one_alert(tmp_path: Path) -> None:
    broken = member(tmp_path, "metrics", State.OPEN)
    broken.child = replace(broken.child, breaker_open=True, reason="exit code 1: boom")
    assert document(snapshot(broken))["alerts"] == [
        {
            "alert": "breaker_open",
            "process": "metrics",
            "since": None,
            "text": "metrics fails again and again and is tried again less often: exit code 1: boom",
        }
    ]


def test_an_upstream_that_is_away_is_one_alert_since_the_first_scanner_missed_it(tmp_path: Path) -> None:
    def away(name: str, since: str) -> Member:
        facts = {"upstream": "unreachable", "upstream_since": since}
        return member(tmp_path, name, State.RUNNING, heard=Heard(facts=facts, status=f"no route for {name}"))

    alerts = document(
        snapshot(away("metrics", "2026-11-23T14:59:00.000Z"), away("prices", "2026-11-23T14:58:00.000Z"))
    )["alerts"]
    assert len(alerts) == 1
    assert alerts[0]["since"] == "2026-11-23T14:58:00.000Z"
    assert alerts[0]["text"] == "upstream does not answer (metrics, prices): no route for prices"


def test_a_database_that_is_away_and_a_full_disk_are_alerts(tmp_path: Path) -> None:
    shown = replace(
        snapshot(),
        database=Database(url="sqlite:///x", reachable=False, reason="locked", since=NOW),
        journal_failed=2,
    )
    assert [(alert["alert"], alert["text"]) for alert in document(shown)["alerts"]] == [
        ("database_unreachable", "locked"),
        ("journal_failed", "2 events could not be written to the journal"),
    ]


def test_a_database_that_is_prepared_for_minutes_is_an_alert(tmp_path: Path) -> None:
    starting = replace(snapshot(), state="starting", since_s=700.0)
    assert document(starting)["alerts"] == []
    (alert,) = document(replace(starting, since_s=699.0))["alerts"]
    assert (alert["alert"], alert["since"]) == ("preparation_slow", "2026-11-23T15:00:00.000Z")
    assert document(replace(starting, state="running", since_s=0.0))["alerts"] == []


def test_a_clock_that_jumps_while_the_database_is_prepared_is_no_alert(tmp_path: Path) -> None:
    starting = replace(snapshot(), state="starting", since=NOW - timedelta(days=1), since_s=999.0)
    assert document(starting)["alerts"] == []


def test_an_upstream_that_refuses_is_an_alert_of_its_own_and_its_words_are_the_reason(tmp_path: Path) -> None:
    since = "2026-11-23T14:58:00.000Z"
    heard = Heard(facts={"upstream": "refusing", "upstream_since": since})
    metrics = member(tmp_path, "metrics", State.RUNNING, heard=heard)
    metrics.child = replace(metrics.child, reason="Yahoo answers 429")
    shown = document(snapshot(metrics, member(tmp_path, "prices", State.RUNNING)))
    text = f"upstream answers 429 since {since}, slowing down (metrics)"
    assert shown["alerts"] == [{"alert": "upstream_refusing", "process": None, "since": since, "text": text}]
    assert shown["processes"][0]["reason"] == "Yahoo answers 429"
    metrics.child = replace(metrics.child, want=Want(wanted=False))
    assert document(snapshot(metrics))["alerts"] == []


def test_a_log_that_its_disk_refuses_and_one_that_is_flooded_are_alerts_while_they_are(tmp_path: Path) -> None:
    prices, recorder = member(tmp_path, "prices", State.RUNNING), member(tmp_path, "recorder", State.RUNNING)
    prices.log.dropped, prices.log.disk_refuses = 3, True
    recorder.log.dropped = 9  # long ago
    flooded = ChildLog(tmp_path, "tickerd", max_mb=1, keep=1)
    flooded._flooded_s, flooded.dropped_bytes = 990.0, 2_500_000
    shown = replace(snapshot(prices, recorder), own_logs=(flooded,))
    assert [(alert["alert"], alert["process"], alert["text"]) for alert in document(shown)["alerts"]] == [
        ("logs_dropped", None, "3 writes to log files were refused by the disk"),
        ("log_flooded", "tickerd", "tickerd writes more than 1 MB/s to its log: 2.5 MB were left out"),
    ]
    prices.log.disk_refuses = False
    assert document(replace(shown, now_s=1050.0))["alerts"] == []


def test_the_newest_audit_stands_in_the_document(tmp_path: Path) -> None:
    said = {"session": "2026-11-20", "text": "8,782 of 8,782 exact"}
    daily = member(tmp_path, "daily", State.WAITING, wanted=False, heard=Heard(facts={"audit": said}))
    assert document(snapshot(daily))["audit"] == said
    assert document(snapshot(member(tmp_path, "prices", State.RUNNING)))["audit"] is None
