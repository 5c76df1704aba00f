from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from storage import scans
from storage.scans import Ended, Moves, NoSuchScan
from storage.writer import Writer
from tests.fix_storage import NOON

MINUTE = timedelta(minutes=1)
REQUEST = {"expression": "rsi14 < 30"}


def result(ticker: str, seq: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "ticker": ticker,
        "seq": seq,
        "session": "2026-11-20",
        "values": {"close": 12.5, "volume": 900.0},
        "flags": [],
        "tech_rating": 71.0,
        **more,
    }


SIGNAL = {
    "pattern": "inside_bar_bullish_breakout",
    "direction": "BUY",
    "entry": 152.5,
    "stop": 150.5,
    "target_1": 156.5,
    "target_2": 160.5,
    "atr": 1.5,
    "position_size": 100,
    "risk_amount_usd": 200.0,
    "confidence": 68.75,
    "confluence": ["volume"],
    "hit_rate": None,
    "hit_rate_low": None,
    "hit_rate_high": None,
    "hit_events": 12,
    "provisional": False,
}


def test_a_scan_that_was_asked_for_is_taken_once_and_kept_to_its_end(writer: Writer, reader: Engine) -> None:
    scans.ask(writer, "scan_b", REQUEST, name=None, at=NOON + MINUTE)
    scans.ask(writer, "scan_a", REQUEST, name="low", at=NOON)
    assert scans.waiting(reader) == (True, [])
    assert [(one.id, one.name, one.request) for one in scans.take(writer, at=NOON, limit=9)] == [
        ("scan_a", "low", REQUEST),
        ("scan_b", None, REQUEST),
    ]
    assert scans.take(writer, at=NOON, limit=9) == [] and scans.waiting(reader) == (False, [])
    found = [result("A", 4, rank=2, key=1.0), result("B", 9, rank=1, key=2.0, signals=[SIGNAL])]
    values = {"signals": 2, "exact": True, "coverage": 1.0, "timings": {"finalization": {"elapsed_s": 0.1}}}
    ended = Ended(status="complete", values=values, results=found, errors=[])
    scans.end(writer, "scan_a", ended, at=NOON + MINUTE)
    kept = scans.read_scan(reader, "scan_a")
    assert (kept["status"], kept["exact"], kept["finished_at"]) == ("complete", True, NOON + MINUTE)
    assert kept["timings"] == {"finalization": {"elapsed_s": 0.1}} and kept["accuracy"] is None
    rows = scans.read_results(reader, "scan_a")
    assert [(row["ticker"], row["rank"], row["seq"]) for row in rows] == [("B", 1, 9), ("A", 2, 4)]
    assert rows[0]["measured"] == {"close": 12.5, "volume": 900.0} and rows[0]["signal"][0]["entry"] == 152.5
    assert [row["id"] for row in scans.read_scans(reader, limit=5)] == ["scan_b", "scan_a"]
    assert [row["id"] for row in scans.read_scans_of(reader, "B", limit=5)] == ["scan_a"]


def test_a_running_scan_shows_what_it_has_found_and_goes_on_from_any_number(writer: Writer, reader: Engine) -> None:
    scans.begin(writer, "scan_a", REQUEST, name=None, at=NOON)
    scans.note_progress(writer, "scan_a", {"overall_progress": 20.0}, [result("A", 3)])
    scans.note_progress(writer, "scan_a", {"overall_progress": 56.5}, [result("A", 3), result("B", 7)])
    assert scans.read_scan(reader, "scan_a")["progress"] == {"overall_progress": 56.5}
    assert [row["ticker"] for row in scans.read_results(reader, "scan_a")] == ["A", "B"]
    assert [row["ticker"] for row in scans.read_results(reader, "scan_a", since=3)] == ["B"]


def test_a_scan_is_cancelled_while_it_waits_or_runs_and_not_after(writer: Writer, reader: Engine) -> None:
    scans.ask(writer, "waits", REQUEST, name=None, at=NOON)
    scans.begin(writer, "runs", REQUEST, name=None, at=NOON)
    assert scans.ask_to_cancel(writer, "waits") and scans.ask_to_cancel(writer, "runs")
    assert scans.waiting(reader) == (False, ["runs"])
    assert scans.read_scan(reader, "waits")["status"] == "cancelled"
    assert not scans.ask_to_cancel(writer, "waits") and not scans.ask_to_cancel(writer, "nothing")


def test_what_a_scan_engine_left_running_is_ended_by_the_next(writer: Writer, reader: Engine) -> None:
    scans.begin(writer, "scan_a", REQUEST, name=None, at=NOON)
    assert scans.abandon(writer, at=NOON + MINUTE) == 1
    kept = scans.read_scan(reader, "scan_a")
    assert (kept["status"], kept["error"]) == ("failed", "the scan engine ended")


def test_what_is_not_there_is_said(reader: Engine, writer: Writer) -> None:
    with pytest.raises(NoSuchScan, match="see `tickerd scan list`"):
        scans.read_scan(reader, "scan_a")
    with pytest.raises(NoSuchScan, match="see `tickerd scan saved`"):
        scans.read_saved(reader, "low")
    assert not scans.forget(writer, "low", at=NOON)


def test_a_saved_scan_is_kept_changed_and_removed_with_its_signals(writer: Writer, reader: Engine) -> None:
    assert scans.save(writer, "low", REQUEST, schedule="close", at=NOON)
    assert not scans.save(writer, "low", {"expression": "rsi14 < 20"}, schedule="minute", at=NOON + MINUTE)
    row = scans.read_saved(reader, "low")[0]
    assert (row["request"], row["schedule"], row["created_at"]) == ({"expression": "rsi14 < 20"}, "minute", NOON)
    scans.renew_signals(writer, "low", "scan_a", [result("A")], whole=True, at=NOON)
    assert scans.forget(writer, "low", at=NOON + MINUTE)
    assert scans.read_saved(reader) == [] and scans.read_signals(reader, name=None, active=True, limit=9) == []


def test_tickers_enter_and_leave_a_saved_scan(writer: Writer, reader: Engine) -> None:
    scans.save(writer, "low", REQUEST, schedule="minute", at=NOON)

    def renewed(tickers: str, *, whole: bool = True) -> Moves:
        found = [result(ticker, signals=[SIGNAL]) for ticker in tickers]
        return scans.renew_signals(writer, "low", "scan_a", found, whole=whole, at=NOON)

    assert renewed("AB") == Moves(entered=["A", "B"], left=[])
    assert renewed("BC") == Moves(entered=["C"], left=["A"])
    assert renewed("C", whole=False) == Moves(entered=[], left=[])
    assert renewed("A") == Moves(entered=["A"], left=["B", "C"])
    active = scans.read_signals(reader, name="low", active=True, limit=9)
    assert [row["symbol"] for row in active] == ["A"]
    row = active[0]
    assert (row["entry_price"], row["stop_loss"], row["target1"], row["target2"]) == (152.5, 150.5, 156.5, 160.5)
    assert (row["risk_amount"], row["hit_rate"], row["hit_events"]) == (200.0, None, 12)
    assert row["confluence_factors"] == ["volume"] and row["volume"] == 900.0
    assert len(scans.read_signals(reader, name=None, active=False, limit=9)) == 4
    assert scans.read_saved(reader, "low")[0]["last_scan_id"] == "scan_a"


def test_what_earlier_scans_found_is_remembered_by_ticker(writer: Writer, reader: Engine) -> None:
    scans.begin(writer, "scan_a", REQUEST, name="low", at=NOON)
    scans.begin(writer, "scan_b", REQUEST, name="low", at=NOON)
    scans.renew_signals(writer, "low", "scan_a", [result("A")], whole=True, at=NOON)
    at = NOON + timedelta(days=2)
    assert list(scans.read_memory(reader, at=at, days=30)) == ["A"]
    assert scans.read_memory(reader, at=at, days=30)["A"] == pytest.approx((0.5, 71.0, 2.0))
    assert scans.read_memory(reader, at=NOON + timedelta(days=40), days=30) == {}


def test_errors_are_counted_by_stage_and_words_until_they_are_cleared(writer: Writer, reader: Engine) -> None:
    scans.begin(writer, "scan_a", REQUEST, name=None, at=NOON)
    error = {"stage": "data_fetching", "ticker": "A", "error": "does not answer"}
    other = {"stage": "universe_loading", "ticker": "NOPE", "error": "no bars"}
    ended = Ended(status="complete", values={}, results=[], errors=[error, error | {"ticker": "B"}, other])
    scans.end(writer, "scan_a", ended, at=NOON)
    found = scans.read_errors(reader, since=NOON)
    assert [(row["stage"], row["times"], row["ticker"]) for row in found] == [
        ("data_fetching", 2, "B"),
        ("universe_loading", 1, "NOPE"),
    ]
    assert scans.read_errors(reader, since=NOON + MINUTE) == []
    assert scans.clear_errors(writer) == 3


def test_a_run_that_came_to_nothing_is_noted(writer: Writer, reader: Engine) -> None:
    scans.save(writer, "low", REQUEST, schedule="minute", at=NOON)
    scans.note_run(writer, "low", "scan_a", at=NOON + MINUTE)
    assert scans.read_saved(reader, "low")[0]["last_run_at"] == NOON + MINUTE


def test_results_are_read_on_in_the_order_of_their_numbers_with_their_json_as_text(
    writer: Writer, reader: Engine
) -> None:
    scans.begin(writer, "scan_a", REQUEST, name=None, at=NOON)
    assert scans.newest_found(reader, "scan_a") == 0
    scans.note_progress(writer, "scan_a", {}, [result("B", 3, rank=1), result("A", 7, rank=2), result("C", 9)])
    found = scans.read_found(reader, "scan_a", since=3, limit=1)
    assert [(row["ticker"], row["seq"], row["signal"]) for row in found] == [("A", 7, None)]
    assert json.loads(found[0]["measured"]) == {"close": 12.5, "volume": 900.0} and json.loads(found[0]["flags"]) == []
    assert scans.newest_found(reader, "scan_a") == 9
    assert [row["id"] for row in scans.read_standing(reader, ["scan_a", "scan_b"])] == ["scan_a"]
