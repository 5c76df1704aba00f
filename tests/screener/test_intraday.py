from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from core.errors import RetryLater
from market.bars import MinuteBar
from screener import intraday
from storage.minute_bars import MinuteBarFiles
from tests.fix_storage import NOON

TODAY = date(2026, 11, 23)
BAR = MinuteBar(
    ticker="A",
    session_date=TODAY,
    minute=NOON,
    open=1.0,
    high=1.0,
    low=1.0,
    close=1.0,
    volume=None,
    day_volume=None,
    is_whole=True,
)


def kept(folder: Path, closes: dict[str, Sequence[float]]) -> Path:
    """Keep a minute bar a close, the last ones of each ticker in the same minute."""
    files = MinuteBarFiles.open(folder / "minute_bars", keep_sessions=9, origin="practice")
    bars = []
    for ticker, values in closes.items():
        for number, close in enumerate(values):
            minute = NOON + timedelta(minutes=number - len(values))
            bars.append(replace(BAR, ticker=ticker, minute=minute, open=close, high=close, low=close, close=close))
    files.write(bars)
    return folder / "minute_bars"


def momentum(folder: Path, tickers: Sequence[str], day: date = TODAY) -> list[float | None]:
    found = intraday.signs("intraday_momentum", intraday.minute_bars(folder, tickers, day))
    return [None if np.isnan(sign) else sign for sign in found.tolist()]


def test_the_newest_minutes_of_a_ticker_tell_its_momentum_and_too_few_tell_nothing(tmp_path: Path) -> None:
    rising, falling = [9, 100, 101, 102, 101.5, 101.4, 103], [9, 100, 99, 98, 98.5, 98.6, 97]
    folder = kept(tmp_path, {"UP": rising, "DOWN": falling, "NEW": rising[:3], "FLAT": [5] * 9, "ELSE": rising})
    assert momentum(folder, ["DOWN", "NEW", "UP", "NONE", "FLAT"]) == [-1.0, None, 1.0, None, 0.0]


def test_a_ticker_that_trades_seldom_has_none(tmp_path: Path) -> None:
    folder = kept(tmp_path, {"A": range(1, 7), "B": range(1, 40)})
    assert momentum(folder, ["A", "B"]) == [1.0, 1.0]
    kept(tmp_path, {"B": range(1, 3)})
    many = kept(tmp_path / "many", {"A": [1, 2, 3, 4], "B": range(1, 40)})
    assert momentum(many, ["A", "B"]) == [None, 1.0]


def test_without_minute_bars_of_the_day_nothing_is_known(tmp_path: Path) -> None:
    folder = kept(tmp_path, {"A": range(1, 9)})
    assert momentum(folder, ["A"], TODAY - timedelta(days=3)) == [None]
    assert momentum(tmp_path / "nowhere", ["A"]) == [None]


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    folder = kept(tmp_path, {"A": range(1, 9)})
    next(folder.glob("*/*.parquet")).write_bytes(b"none")
    with pytest.raises(RetryLater, match="cannot be read"):
        momentum(folder, ["A"])


def test_two_percent_before_the_open_are_a_gap_either_way() -> None:
    price = np.array([10.2, 10.19, 9.8, np.nan, 10.2])
    close = np.array([10.0, 10.0, 10.0, 10.0, np.nan])
    found = intraday.signs("premarket_gap", intraday.premarket_bars(["A", "B", "C", "D", "E"], price, close))
    assert found[:3].tolist() == [1.0, 0.0, -1.0] and np.isnan(found[3:]).all()
