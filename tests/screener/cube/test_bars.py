from __future__ import annotations

from datetime import date

import numpy as np

from screener.cube.bars import Bars, align, date_of, day_number, empty, fill, group_starts, put
from tests.fix_screener import FIRST_DAY, walk, walked


def same(one: Bars, other: Bars) -> bool:
    names = ("session", "open", "high", "low", "close", "volume", "counts")
    equal = (np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True) for name in names)
    return one.tickers == other.tickers and all(equal)


def test_a_day_number_is_days_since_1970() -> None:
    assert day_number(date(1970, 1, 2)) == 1
    assert date_of(day_number(date(2026, 11, 23))) == date(2026, 11, 23)


def test_bars_are_aligned_at_the_newest_one() -> None:
    long, short = walk([5, 2])
    bars = align([long, short])
    assert (bars.rows, bars.width, bars.tickers) == (5, 2, ("T0", "T1"))
    assert bars.counts.tolist() == [5, 2] and bars.starts.tolist() == [0, 3]
    assert np.isnan(bars.close[:3, 1]).all() and bars.session[:3, 1].tolist() == [0, 0, 0]
    assert bars.close[-1].tolist() == [long.close[-1], short.close[-1]]


def test_more_bars_than_rows_leave_the_oldest_out() -> None:
    (long,) = walk([9])
    bars = align([long], rows=4)
    assert bars.close[:, 0].tolist() == long.close[-4:].tolist()
    assert bars.counts.tolist() == [4]


def test_a_column_written_again_keeps_nothing_of_what_it_held() -> None:
    (long,), (short,) = walk([6]), walk([2], seed=5)
    bars = empty(["T0"], 6)
    put(bars, 0, long)
    put(bars, 0, short)
    assert same(bars, align([short], rows=6))


def test_a_slice_of_columns_shares_its_memory() -> None:
    bars = walked(4, 4, 4)
    cut = bars.columns(slice(1, 3))
    assert cut.tickers == ("T1", "T2") and np.shares_memory(cut.close, bars.close)
    assert bars.columns(np.array([2, 0])).tickers == ("T2", "T0")


def test_the_tail_holds_the_newest_bars_alone() -> None:
    cut = walked(6, 2).tail(3)
    assert cut.rows == 3 and cut.counts.tolist() == [3, 2]
    assert walked(3).tail(7).rows == 3 and walked(3).tail(0).rows == 0


def test_the_market_as_it_was_on_a_past_day_is_aligned_anew() -> None:
    newest = FIRST_DAY + 400
    whole = walk([8, 3, 1])
    bars = align(whole).until(newest - 2)
    assert bars.counts.tolist() == [6, 1, 0]
    assert bars.close[-1].tolist()[:2] == [whole[0].close[5], whole[1].close[0]]
    assert np.isnan(bars.close[-1, 2]) and bars.session[-1].tolist() == [newest - 2, newest - 2, 0]
    assert align(whole).until(newest).counts.tolist() == [8, 3, 1]


def test_the_newest_day_of_no_bars_is_0() -> None:
    assert align([]).newest_day == 0 and empty(["A"], 3).newest_day == 0
    assert walked(3).newest_day == FIRST_DAY + 400


def test_bars_in_any_order_are_filled_in_by_ticker_and_day() -> None:
    given = [(1, 7, 70.0), (0, 3, 3.0), (1, 9, 90.0), (1, 8, 80.0)]  # (column, day, close)
    columns, days, closes = (np.array(part) for part in zip(*given, strict=True))
    prices = np.tile(closes, (4, 1)).astype(np.float32)
    bars = fill(["A", "B", "C"], 2, columns.astype(np.int32), days.astype(np.int32), prices, closes)
    assert bars.counts.tolist() == [1, 2, 0] and bars.session.tolist() == [[0, 8, 0], [3, 9, 0]]
    assert bars.close[:, 1].tolist() == [80, 90] and bars.volume[1, 0] == 3 and np.isnan(bars.close[:, 2]).all()


def test_a_run_of_equals_is_one_group() -> None:
    assert group_starts(np.array([3, 3, 4, 9, 9, 9])).tolist() == [0, 2, 3]
    assert group_starts(np.array([], np.int32)).tolist() == []
