from __future__ import annotations

import numpy as np

from screener.cube.bars import ARRAYS, Bars, align
from screener.cube.live import nothing_yet, with_live, with_quotes
from tests.fix_screener import FIRST_DAY, walk, walked
from tests.screener.cube.test_bars import same

TODAY = FIRST_DAY + 401
PLACE = {"T0": 0, "T1": 1, "T2": 2}


def test_a_price_becomes_the_newest_bar_and_is_marked_provisional() -> None:
    bars = walked(3, 3, 1)
    live = with_quotes(nothing_yet(3, TODAY), PLACE, [("T1", 10.0, 12.0, 9.0, 11.0, None, False)])
    found = with_live(bars, live)
    assert found.provisional is not None and found.provisional.tolist() == [False, True, False]
    assert found.counts.tolist() == [3, 4, 1]
    assert found.close[-4:, 1].tolist() == [*bars.close[:, 1].tolist(), 11.0]
    assert [float(side[-1, 1]) for side in (found.open, found.high, found.low)] == [10, 12, 9]
    assert np.isnan(found.volume[-1, 1]) and found.session[-1].tolist() == [TODAY - 1, TODAY, TODAY - 1]
    untouched = np.array([0, 2])
    assert same(found.tail(3).columns(untouched), bars.columns(untouched))


def test_a_bar_of_the_session_that_sql_has_already_is_kept() -> None:
    bars = align(walk([3], newest_day=TODAY))
    live = with_quotes(nothing_yet(1, TODAY), PLACE, [("T0", 1.0, 1.0, 1.0, 1.0, 5, True)])
    found = with_live(bars, live)
    assert same(found, bars) and found.provisional is not None and not found.provisional.any()


def test_prices_come_bit_by_bit_and_the_newest_counts() -> None:
    first = with_quotes(
        nothing_yet(3, TODAY), PLACE, [("T0", 1.0, 2.0, 1.0, 2.0, 10, True), ("GONE", 1, 1, 1, 1, 1, True)]
    )
    second = with_quotes(first, PLACE, [("T0", 1.0, 3.0, 1.0, 3.0, 20, True)])
    assert first.close[0] == 2 and second.close[0] == 3 and second.volume[0] == 20
    assert second.known.tolist() == [True, False, False]


def test_all_bars_with_the_last_one_live_equal_the_bars_of_the_day_after() -> None:
    whole = walked(6, 3, 6)
    past = whole.until(whole.newest_day - 1)
    quotes = [
        (
            ticker,
            *(float(getattr(whole, name)[-1, column]) for name in ("open", "high", "low", "close", "volume")),
            True,
        )
        for column, ticker in enumerate(whole.tickers)
    ]
    found = with_live(past, with_quotes(nothing_yet(3, whole.newest_day), PLACE, quotes))
    assert same(found, whole)


def test_a_ticker_without_a_bar_gets_its_first_from_the_price() -> None:
    found = with_live(walked(0, 2), with_quotes(nothing_yet(2, TODAY), PLACE, [("T0", 1.0, 1.0, 1.0, 1.0, 1, True)]))
    assert found.counts.tolist() == [1, 2] and found.close[-1, 0] == 1


def test_a_market_of_no_bars_at_all_takes_prices_too() -> None:
    bars = walked(0)
    assert bars.rows == 0
    found = with_live(bars, with_quotes(nothing_yet(1, TODAY), PLACE, [("T0", 1.0, 1.0, 1.0, 1.0, 1, True)]))
    assert isinstance(found, Bars) and [getattr(found, name).shape for name in ARRAYS] == [(1, 1)] * 6


def at_prices(closes: list[float], *quotes: tuple[float, float | None]) -> list[bool]:
    """Which tickers count, of (price, close before as told) beside these newest closes."""
    told = [(f"T{n}", price, price, price, price, 10, before) for n, (price, before) in enumerate(quotes)]
    live = with_quotes(nothing_yet(len(closes), TODAY), PLACE, told)
    return list(live.in_units_of(np.array(closes, np.float32)).known)


def test_a_ticker_that_was_split_this_morning_waits_for_its_rewritten_history() -> None:
    assert at_prices([100.0, 100.0, 100.0], (50.5, 50.0), (1010.0, 1000.0), (80.0, 80.0)) == [False, False, False]


def test_a_move_of_the_price_is_no_split_once_the_close_before_is_told() -> None:
    assert at_prices([100.0, 100.0, 100.0], (45.0, 100.0), (230.0, 100.0), (101.0, 99.0)) == [True, True, True]


def test_a_price_twice_or_half_the_last_close_waits_for_the_close_before() -> None:
    assert at_prices([100.0, 100.0, 100.0], (50.0, None), (200.0, None), (70.0, None)) == [False, False, True]


def test_a_ticker_without_completed_bars_has_no_units_to_differ_in() -> None:
    assert at_prices([np.nan], (50.0, 50.0)) == [True]
