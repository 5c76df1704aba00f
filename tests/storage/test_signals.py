from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Engine

from storage import scans, signals
from storage.writer import Writer
from tests.fix_storage import NOON

MINUTE = timedelta(minutes=1)


def result(ticker: str) -> dict[str, Any]:
    return {"ticker": ticker, "seq": 1, "session": "2026-11-20", "values": {}, "flags": []}


def run(writer: Writer, number: int, *tickers: str) -> None:
    found = [result(ticker) for ticker in tickers]
    scans.renew_signals(writer, "low", f"scan_{number}", found, whole=True, at=NOON + number * MINUTE)


def told(reader: Engine, since: int = 0, limit: int = 99) -> list[tuple[int, str, str]]:
    return [(row["seq"], row["kind"], row["symbol"]) for row in signals.happened(reader, since, limit=limit)]


def test_each_signal_that_enters_leaves_or_is_changed_has_a_number(writer: Writer, reader: Engine) -> None:
    assert signals.newest(reader) == 0 and told(reader) == []
    run(writer, 1, "A", "B")
    run(writer, 2, "B", "C")
    run(writer, 3, "B", "C")
    assert told(reader) == [(1, "entered", "A"), (2, "entered", "B"), (3, "entered", "C"), (4, "left", "A")]
    assert told(reader, since=3) == [(4, "left", "A")] and told(reader, limit=1) == [(1, "entered", "A")]
    assert signals.happened(reader, 3, limit=9)[0]["at"] == NOON + 2 * MINUTE
    assert signals.change_status(writer, 2, "dismissed", at=NOON + 5 * MINUTE) is True
    assert signals.change_status(writer, 99, "dismissed", at=NOON) is False
    changed = signals.happened(reader, 4, limit=9)[0]
    assert (changed["seq"], changed["kind"], changed["status"]) == (5, "changed", "dismissed")
    assert changed["left_at"] == NOON + 5 * MINUTE and signals.newest(reader) == 5
    scans.forget(writer, "low", at=NOON + 6 * MINUTE)
    assert told(reader, since=5) == [(6, "left", "C")], "what was dismissed has left already"
