from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine, text

from core.errors import RetryLater
from core.files import FileLock
from market.universe import Listing
from screener.cube import build, files
from screener.cube.bars import Bars, date_of
from screener.cube.build import by_liquidity, keep_current, renew
from storage.daily_bars import DailyBar, write_daily_bars
from storage.universe import load_universe
from storage.writer import Writer
from tests.screener.cube.test_bars import same

FIRST = date(2026, 11, 2)


def bar(ticker: str, day: int, close: float, *, volume: int | None = 1000) -> DailyBar:
    return DailyBar(
        ticker=ticker,
        session_date=FIRST + timedelta(days=day),
        open=close,
        high=close + 1,
        low=close - 1,
        close=close,
        adj_close=None,
        volume=volume,
        source="chart",
    )


def history(ticker: str, closes: list[float], *, volume: int | None = 1000) -> list[DailyBar]:
    return [bar(ticker, day, close, volume=volume) for day, close in enumerate(closes)]


@pytest.fixture
def database_url(sqlite_file: Path) -> str:
    """SQLite alone: tests/storage/test_bar_rows.py shows that both databases give the same rows."""
    return f"sqlite:///{sqlite_file}"


@pytest.fixture
def filled(writer: Writer) -> Writer:
    write_daily_bars(writer, history("A", [10, 11, 12, 13]) + history("B", [20, 21], volume=9000))
    return writer


def column(bars: Bars, ticker: str) -> list[float]:
    place = bars.tickers.index(ticker)
    return [float(value) for value in bars.close[bars.starts[place] :, place]]


def test_the_cube_holds_the_newest_rows_of_each_ticker_the_most_traded_first(filled: Writer, reader: Engine) -> None:
    cube = renew(None, reader, rows=3)
    assert cube.bars.tickers == ("B", "A")
    assert column(cube.bars, "A") == [11, 12, 13] and column(cube.bars, "B") == [20, 21]
    assert date_of(int(cube.bars.session[-1, 1])) == FIRST + timedelta(days=3)
    assert cube.bars.high[-1].tolist() == [22, 14] and cube.bars.volume[-1].tolist() == [9000, 1000]


def test_nothing_is_read_again_while_nothing_was_written(filled: Writer, reader: Engine) -> None:
    cube = renew(None, reader, rows=3)
    assert renew(cube, reader, rows=3) is cube


def test_new_bars_and_rewritten_histories_change_their_columns_alone(
    filled: Writer, reader: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [f"O{number}" for number in range(8)]
    write_daily_bars(filled, [one for ticker in others for one in history(ticker, [5, 6, 7])])
    held = renew(None, reader, rows=3)
    write_daily_bars(filled, [bar("B", 2, 22)])
    write_daily_bars(filled, history("A", [5, 5.5, 6, 6.5]))  # after a split two for one
    monkeypatch.setattr(build, "_built", None)  # not all over again
    fresh = renew(held, reader, rows=3)
    assert column(fresh.bars, "A") == [5.5, 6, 6.5] and column(fresh.bars, "B") == [20, 21, 22]
    rest = np.array([fresh.bars.tickers.index(ticker) for ticker in others])
    assert fresh.bars.tickers == held.bars.tickers
    assert same(fresh.bars.columns(rest), held.bars.columns(rest))
    monkeypatch.undo()
    whole = renew(None, reader, rows=3)
    order = np.array([whole.bars.tickers.index(ticker) for ticker in fresh.bars.tickers])
    assert same(whole.bars.columns(order), fresh.bars)


def test_one_volume_corrected_by_one_share_is_seen(filled: Writer, reader: Engine) -> None:
    held = renew(None, reader, rows=3)
    write_daily_bars(filled, [replace(bar("A", 2, 12), volume=1001)])
    assert renew(held, reader, rows=3).bars.volume[1, 1] == 1001


def test_a_new_ticker_comes_last_and_one_dropped_from_the_universe_goes(filled: Writer, reader: Engine) -> None:
    load_universe(filled, [Listing(ticker=f"O{number}") for number in range(6)])
    write_daily_bars(filled, [one for number in range(6) for one in history(f"O{number}", [5, 6])])
    held = renew(None, reader, rows=3)
    with filled.transaction(source="test") as tx:
        tx.connection.execute(text("UPDATE stocks_stock SET is_listed = false WHERE ticker = 'O3'"))
    write_daily_bars(filled, history("NEW", [5, 6, 7]))
    fresh = renew(held, reader, rows=3)
    assert fresh.bars.tickers == (*(ticker for ticker in held.bars.tickers if ticker != "O3"), "NEW")
    assert column(fresh.bars, "NEW") == [5, 6, 7]


def test_an_unknown_volume_is_not_a_number_and_never_0(writer: Writer, reader: Engine) -> None:
    write_daily_bars(writer, history("A", [10, 11], volume=None))
    assert np.isnan(renew(None, reader, rows=3).bars.volume).all()


def test_a_bar_without_a_sound_price_is_left_out_and_counted(
    filled: Writer, reader: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    with filled.transaction(source="daily_bars") as tx:
        tx.connection.execute(text("UPDATE stocks_daily_bar SET low = -1 WHERE ticker = 'A' AND close = 12"))
        tx.wrote(1)
    cube = renew(None, reader, rows=5)
    assert column(cube.bars, "A") == [10, 11, 13]
    assert "refused=1" in capsys.readouterr().out


def test_a_database_without_bars_gives_an_empty_cube(writer: Writer, reader: Engine, tmp_path: Path) -> None:
    cube = keep_current(tmp_path, reader, rows=3)
    assert cube.bars.tickers == () and cube.bars.rows == 3
    assert keep_current(tmp_path, reader, rows=3).number == 1


def test_the_cube_on_disk_follows_the_database(filled: Writer, reader: Engine, tmp_path: Path) -> None:
    assert keep_current(tmp_path, reader, rows=3).number == 1
    assert keep_current(tmp_path, reader, rows=3).number == 1
    write_daily_bars(filled, [bar("A", 4, 14)])
    fresh = keep_current(tmp_path, reader, rows=3)
    assert fresh.number == 2 and column(fresh.bars, "A") == [12, 13, 14]
    assert keep_current(tmp_path, reader, rows=4).bars.rows == 4


def test_two_do_not_build_at_once(filled: Writer, reader: Engine, tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    lock.acquire()
    with pytest.raises(RetryLater):
        keep_current(tmp_path, reader, rows=3)
    lock.release()
    assert files.read(tmp_path) is None


def test_an_unknown_turnover_comes_last() -> None:
    bars = build.fill(
        ["A", "B", "C"],
        1,
        np.array([2, 0, 1], np.int32),
        np.array([5, 5, 5], np.int32),
        np.ones((4, 3), np.float32),
        np.array([7.0, np.nan, 9.0]),
    )
    assert by_liquidity(bars).tolist() == [1, 2, 0]
