from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from core.clock import SystemClock
from market.universe import Listing
from storage.daily_bars import DailyBar, write_daily_bars
from storage.universe import load_universe
from storage.writer import Writer
from tests.fix_cli import Run, fits_80_columns

FIRST = date(2026, 1, 5)
SESSIONS, TICKERS = 150, ("AAA", "BBB", "CCC")


def bars() -> list[DailyBar]:
    rng = np.random.default_rng(5)
    made = []
    for ticker in TICKERS:
        close = 100.0
        for number in range(SESSIONS):
            start, close = close + rng.integers(-2, 3) / 4, close + rng.integers(-5, 6) / 4
            made.append(
                DailyBar(
                    ticker=ticker,
                    session_date=FIRST + timedelta(days=number),
                    open=float(start),
                    high=float(max(start, close) + rng.integers(0, 5) / 4),
                    low=float(min(start, close) - rng.integers(0, 5) / 4),
                    close=float(close),
                    adj_close=None,
                    volume=1000,
                    source="test",
                )
            )
    return made


@pytest.fixture
def table(here: Run, sqlite_file: Path) -> Run:
    """Three tickers with 150 sessions each."""
    with Writer.open(f"sqlite:///{sqlite_file}", service="test", origin="practice", clock=SystemClock()) as writer:
        load_universe(writer, [Listing(ticker=ticker) for ticker in TICKERS])
        assert write_daily_bars(writer, bars()).refused == 0
    return here


def test_a_pattern_shows_its_events_by_side_and_horizon(table: Run) -> None:
    document = table("backtest", "cdlengulfing", "--horizon", "5", "--json").json()
    assert (document["tickers"], document["first"], document["last"]) == (3, "2026-01-05", "2026-06-03")
    assert [(row["condition"], row["direction"], row["horizon_sessions"]) for row in document["outcomes"]] == [
        ("cdlengulfing", "BUY", 5),
        ("cdlengulfing", "SELL", 5),
    ]
    few = document["outcomes"][0]
    assert 0 < few["events"] < 100
    assert (few["hit_rate"], few["hit_rate_low"]) == (None, None)
    assert few["base_rate"] > 0


def test_an_expression_is_tested_as_it_stands_and_holds_where_a_loop_says_so(table: Run) -> None:
    document = table("backtest", "close > open and volume >= 1000", "--horizon", "1", "--json").json()
    (row,) = document["outcomes"]
    # The last bar has no next open yet.
    rows = [bars()[place * SESSIONS : (place + 1) * SESSIONS][:-1] for place in range(3)]
    assert row["events"] == sum(bar.close > bar.open for ticker in rows for bar in ticker)
    assert row["hit_rate_low"] < row["hit_rate"] < row["hit_rate_high"]


def test_dates_bound_the_events(table: Run) -> None:
    document = table("backtest", "close > 0", "--from", "2026-03-01", "--to", "2026-03-10", "--horizon", "1", "--json")
    assert document.json()["outcomes"][0]["events"] == 30


def test_what_is_shown_to_people_fits_and_says_what_a_hit_is(table: Run) -> None:
    ended = table("backtest", "nr7", "inside_bar_bullish_breakout")
    assert ended.code == 0
    assert fits_80_columns(ended.out)
    assert "next open" in " ".join(ended.out.split())


def test_nothing_that_fired_is_said_so(table: Run) -> None:
    assert "no events" in table("backtest", "close < 0").out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ("nothing to test", "--all")),
        (("rsi14 <",), ("column 8",)),
        (("clsoe > 1",), ("clsoe",)),
        (("nr7", "--from", "2031-01-01"), ("no bar", "2026-01-05")),
        (("sector == 'Energy'",), ("sector", "--biased")),
    ],
)
def test_what_makes_no_sense_is_told_in_one_line(
    table: Run, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    ended = table("backtest", *arguments)
    assert ended.code == 2
    assert all(word in ended.err for word in words)
    assert "Traceback" not in ended.err


def test_todays_value_for_the_past_is_labelled(table: Run) -> None:
    document = table("backtest", "market_cap > 0 or close > 0", "--biased", "--horizon", "1", "--json").json()
    assert document["biased"] == ["market_cap"]


def test_a_database_without_bars_says_what_to_do(here: Run, sqlite_file: Path) -> None:
    here("backtest", "nr7").fails(2, "no daily bars", "scanner daily")


def test_a_pattern_of_minutes_is_refused_for_the_past(table: Run) -> None:
    done = table("backtest", "intraday_momentum")
    assert done.code == 2 and "only today's intraday_momentum is known" in done.err
