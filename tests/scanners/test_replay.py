from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from core.flight import Kind, Record
from core.settings import Market
from market.sessions import build_calendar
from scanners.replay import Refusal, Replay

DATA = Path(__file__).parent.parent / "data"
FRAMES: list[dict[str, Any]] = json.loads((DATA / "pricing_frames.json").read_text(encoding="utf-8"))
QUOTE = "https://query1.finance.yahoo.com/v7/finance/quote"
EVENING = datetime(2021, 2, 8, 4, 30, 50, tzinfo=UTC)
"""When the first quote of v7_quotes.jsonl was recorded: AAPL, Sunday evening in New York."""


def a_replay() -> Replay:
    return Replay(build_calendar(Market(), read=lambda _path: ""))


def frame_of(kept: dict[str, Any], *, later_s: float = 1.0) -> Record:
    """Return the frame as the stream sent it, heard `later_s` after its trade."""
    at = datetime.fromtimestamp(int(kept["decoded"]["time"]) / 1000, UTC) + timedelta(seconds=later_s)
    return frame(json.dumps({"type": "pricing", "message": kept["message"]}), at=at)


def frame(text: str, *, at: datetime) -> Record:
    return Record(at=at, kind="frame", source="0", text=text)


def answer(body: str, *symbols: str, status: int = 200, address: str = QUOTE, at: datetime = EVENING) -> Record:
    query = urlencode({"symbols": ",".join(symbols), "fields": "currency"})
    return Record(at=at, kind="answer", source=f"{address}?{query}", status=status, text=body)


def offered(replay: Replay, *records: Record) -> Replay:
    for number, record in enumerate(records, start=1):
        replay.offer(record, file="report", number=number)
    return replay


def causes(replay: Replay, kind: Kind) -> dict[str, int]:
    return dict(replay.causes[kind])


def named(ticker: str, day: str) -> dict[str, Any]:
    """Return the one recorded frame of `ticker` traded on `day`."""
    for kept in FRAMES:
        traded = datetime.fromtimestamp(int(kept["decoded"]["time"]) / 1000, UTC)
        if kept["decoded"]["id"] == ticker and str(traded.date()) == day and kept["market_hours"] == 1:
            return kept
    raise LookupError(ticker)


def test_a_recorded_frame_of_the_session_is_the_ticker_s_price() -> None:
    kept = named("MSFT", "2020-05-15")
    replay = offered(a_replay(), frame_of(kept))
    (row,) = replay.prices("MSFT")
    assert (row.kind, row.price_usd) == ("regular", kept["decoded"]["price"])
    assert (row.change, row.change_percent) == (kept["decoded"]["change"], kept["decoded"]["change_percent"])
    assert replay.frames == {"records": 1, "ticks": 1, "accepted": 1}
    assert causes(replay, "frame") == {}


def test_each_frame_that_is_not_accepted_is_counted_by_cause_and_named_by_its_record() -> None:
    kept = named("MSFT", "2020-05-15")
    heard = frame_of(kept)
    replay = offered(
        a_replay(),
        heard,
        frame_of(kept, later_s=86_400 * 4),  # Tuesday: the price is of another session
        frame_of(kept, later_s=-90),  # before it was traded
        frame("hello", at=heard.at),
        frame('{"type":"ping"}', at=heard.at),
    )
    assert causes(replay, "frame") == {"outside_session": 1, "future": 1, "not_json": 1, "other_type": 1}
    assert replay.frames == {"records": 5, "ticks": 3, "accepted": 1}
    assert replay.refusals[1] == Refusal(file="report", record=3, kind="frame", ticker="MSFT", cause="future")
    assert [(each.record, each.ticker) for each in replay.refusals] == [(2, "MSFT"), (3, "MSFT"), (4, ""), (5, "")]


def test_the_same_frame_again_is_accepted_again_as_the_stream_repeats_itself() -> None:
    kept = named("MSFT", "2020-05-15")
    assert offered(a_replay(), frame_of(kept), frame_of(kept)).frames["accepted"] == 2


def test_an_answer_s_quotes_are_mapped_as_the_scanner_maps_them() -> None:
    body = json.dumps(json.loads((DATA / "v7_quotes.jsonl").read_text(encoding="utf-8").splitlines()[0])["body"])
    replay = offered(a_replay(), answer(body, "AAPL", "NONEXIST"))
    assert replay.quotes["AAPL"].current_price == 136.76
    assert replay.quotes["AAPL"].bid_size == 2900
    assert replay.answers == {"records": 1, "quotes": 1, "accepted": 1, "missing": 1, "foreign": 0}


@pytest.mark.parametrize(
    ("record", "cause"),
    [
        (answer("Too Many Requests", "AAPL", status=429), "RateLimited"),
        (answer("{}", "AAPL", status=401), "RateLimited"),
        (answer("{}", "AAPL", "MSFT", status=413), "BatchRefused"),
        (answer("<html>", "AAPL"), "BadAnswer"),
        (answer('{"quoteResponse":{"resu', "AAPL"), "BadAnswer"),
        (answer("{}", "AAPL", address="https://query1.finance.yahoo.com/v8/finance/chart/AAPL"), "unknown_address"),
    ],
)
def test_an_answer_that_holds_no_quotes_is_counted_as_the_scanner_sees_it(record: Record, cause: str) -> None:
    replay = offered(a_replay(), record)
    assert causes(replay, "answer") == {cause: 1}
    assert replay.refusals == [Refusal(file="report", record=1, kind="answer", ticker="", cause=cause)]


def test_a_quote_that_breaks_a_rule_is_named_by_its_ticker() -> None:
    row = {"symbol": "OCDO.L", "currency": "GBp", "quoteType": "EQUITY", "regularMarketPrice": 2808.0}
    replay = offered(a_replay(), answer(json.dumps({"quoteResponse": {"result": [row]}}), "OCDO.L"))
    assert replay.refusals == [Refusal(file="report", record=1, kind="answer", ticker="OCDO.L", cause="currency")]
    assert replay.quotes == {}


def test_refusals_are_counted_without_end_and_kept_one_by_one_up_to_a_thousand() -> None:
    replay = offered(a_replay(), *[frame("hello", at=EVENING)] * 1200)
    assert causes(replay, "frame") == {"not_json": 1200}
    assert len(replay.refusals) == 1000
