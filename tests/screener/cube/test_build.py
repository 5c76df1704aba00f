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
from screener.cube.build import keep_current, renew
from storage.bar_rows import BarRow
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


def test_a_building_that_is_stopped_leaves_the_cube_as_it_was(filled: Writer, reader: Engine, tmp_path: Path) -> None:
    held = keep_current(tmp_path, reader, rows=3)
    for again in ([bar("A", 4, 14)], history("B", [1, 2, 3])):  # a column, and all of them
        write_daily_bars(filled, again)
        with pytest.raises(build.Stopped):
            keep_current(tmp_path, reader, rows=3, stopped=lambda: True)
        found = files.read(tmp_path)
        assert found is not None and found.number == held.number
    assert keep_current(tmp_path, reader, rows=3).number == held.number + 1


def rings(rows: int, **closes: list[float]) -> build.Rings:
    """Taken in by twos: a ticker's bars come in several batches."""
    found = build.Rings(list(closes), rows)
    bars: list[BarRow] = [
        (name, f"2026-11-{day:02}", x, x, x, x, 10) for name, held in closes.items() for day, x in enumerate(held, 1)
    ]
    for first in range(0, len(bars), 2):
        found.take(bars[first : first + 2])
    return found


def test_a_ring_holds_the_newest_bars_in_order_however_many_there_were() -> None:
    found = rings(3, A=[1, 2], B=[1, 2, 3, 4, 5, 6, 7], C=[], D=[1, 2, 3])
    bars = found.bars(np.array([1, 0, 3, 2]))
    assert [column(bars, ticker) for ticker in "ABCD"] == [[1, 2], [5, 6, 7], [], [1, 2, 3]]
    assert bars.tickers == ("B", "A", "D", "C") and bars.counts.tolist() == [3, 2, 3, 0]
    assert [str(date_of(int(day))) for day in bars.session[:, 0]] == ["2026-11-05", "2026-11-06", "2026-11-07"]
    assert found.taken == 12 and found.refused == 0


def test_a_ring_may_turn_more_than_once_in_a_batch() -> None:
    found = build.Rings(["A"], 2)
    found.take([("A", f"2026-11-{day:02}", day, day, day, day, 10) for day in range(1, 8)])
    assert column(found.bars(np.array([0])), "A") == [6, 7]


def test_a_gap_that_was_filled_later_stands_in_its_place(filled: Writer, reader: Engine) -> None:
    write_daily_bars(filled, [bar("A", 5, 15), bar("A", 4, 14), bar("B", 3, 23)])
    write_daily_bars(filled, [bar("B", 2, 22)])
    for ticker, closes in {"A": [13, 14, 15], "B": [21, 22, 23]}.items():
        assert column(renew(None, reader, rows=3).bars, ticker) == closes


def test_tickers_whose_bars_came_out_of_order_are_to_be_given_again() -> None:
    found = rings(3, A=[1, 2], B=[1, 2, 3, 4])
    found.take([("B", "2026-11-02", 9, 9, 9, 9, 10)])
    assert found.jumbled() == ["B"]
    found.take([("B", f"2026-11-{day:02}", day, day, day, day, 10) for day in (1, 2, 3, 4)])
    assert found.taken == 6 and column(found.bars(np.array([0, 1])), "B") == [2, 3, 4]


def test_an_unknown_turnover_comes_last() -> None:
    found = build.Rings(["A", "B", "C"], 1)
    for ticker, volume in {"A": None, "B": 9, "C": 7}.items():
        found.take([(ticker, "2026-11-20", 1, 1, 1, 1, volume)])
    assert found.by_liquidity().tolist() == [1, 2, 0]
