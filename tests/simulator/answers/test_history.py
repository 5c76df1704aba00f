from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from core.files import read_text
from core.settings import Market as MarketSettings
from market.eastern import local_date
from market.sessions import build_calendar
from simulator.answers.history import (
    Dividend,
    adjusted_closes,
    daily_bars,
    dividends,
    sessions,
    splits,
)
from simulator.answers.quotes import fixed
from simulator.world import listings
from simulator.world.bars import Bar
from simulator.world.walk import Market

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
TUESDAY_OPEN = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
SYMBOLS = ["AAPL", "F", "SPY", "NA", "SOHO", "NEWCO"]


def market(calendar: str = "XNYS", *, seed: int = 1, now: datetime = NOON) -> Market:
    known = build_calendar(MarketSettings(calendar=calendar), read=read_text)
    return Market(listings.chosen(SYMBOLS), calendar=known, seed=seed, now=now)


def on(bar: Bar) -> date:
    return local_date(datetime.fromtimestamp(bar.at_s, UTC))


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_any_ticker_has_four_hundred_sessions_that_end_in_the_previous_close_and_today(symbol: str) -> None:
    practice = market()
    stock = practice.stocks[symbol]
    bars = daily_bars(practice, stock, 400)

    assert len(bars) == 400
    assert bars[-2].close == pytest.approx(stock.previous_close, rel=1e-6)
    assert bars[-1].close == pytest.approx(stock.price, rel=1e-6)
    assert bars[-1].volume == stock.volume
    assert all(0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in bars)


def test_bars_lie_on_the_exchange_s_sessions() -> None:
    practice = market()
    dates = [on(bar) for bar in daily_bars(practice, practice.stocks["AAPL"], 300)]

    assert dates[-2:] == [date(2026, 11, 20), date(2026, 11, 23)]
    assert date(2026, 7, 3) not in dates  # Independence Day, observed
    assert date(2025, 12, 25) not in dates
    assert all(each.weekday() < 5 for each in dates)


def test_before_a_list_of_sessions_begins_the_past_is_new_york_s(tmp_path: Path) -> None:
    listed = tmp_path / "day.csv"
    listed.write_text(
        "session,open_utc,close_utc,reason\n2026-11-23,2026-11-23T16:58:00Z,2026-11-23T17:05:00Z,practice\n"
    )
    practice = market(f"file:{listed}")

    dates = [on(bar) for bar in daily_bars(practice, practice.stocks["AAPL"], 400)]

    assert len(dates) == 400
    assert dates[-3:] == [date(2026, 11, 19), date(2026, 11, 20), date(2026, 11, 23)]


def test_the_past_is_the_same_for_the_same_seed_and_for_a_short_and_a_long_request() -> None:
    first, second, other = market(), market(), market(seed=2)
    bars = daily_bars(first, first.stocks["F"], 900)

    assert bars == daily_bars(second, second.stocks["F"], 900)
    assert bars[-40:] == daily_bars(first, first.stocks["F"], 40)
    assert bars[:-1] != daily_bars(other, other.stocks["F"], 900)[:-1]


def test_the_last_year_reaches_the_quote_s_extremes_and_no_further() -> None:
    practice = market()
    for symbol in SYMBOLS:
        stock = practice.stocks[symbol]
        facts = fixed(stock, practice)
        year = [
            bar for bar in daily_bars(practice, stock, 300)[:-1] if bar.at_s >= practice.hours.open_s - 365 * 86_400
        ]
        low = min(facts["fiftyTwoWeekLow"], stock.previous_close)
        high = max(facts["fiftyTwoWeekHigh"], stock.previous_close)
        assert min(bar.low for bar in year) == pytest.approx(low, rel=1e-6)
        assert max(bar.high for bar in year) == pytest.approx(high, rel=1e-6)


def test_volumes_have_the_quote_s_means_over_ten_days_and_three_months() -> None:
    practice = market()
    for symbol in SYMBOLS:
        facts = fixed(practice.stocks[symbol], practice)
        volumes = [bar.volume for bar in daily_bars(practice, practice.stocks[symbol], 100)[:-1]]
        assert sum(volumes[-10:]) / 10 == pytest.approx(facts["averageDailyVolume10Day"], abs=1)
        assert sum(volumes[-63:]) / 63 == pytest.approx(facts["averageDailyVolume3Month"], abs=1)


def test_a_day_that_has_ended_under_our_eyes_stays_as_it_was() -> None:
    practice = market(now=datetime(2026, 11, 23, 20, 59, 50, tzinfo=UTC))
    for second in range(51, 60):
        practice.advance(datetime(2026, 11, 23, 20, 59, second, tzinfo=UTC))
    monday = daily_bars(practice, practice.stocks["AAPL"], 400)
    practice.advance(TUESDAY_OPEN)
    practice.advance(TUESDAY_OPEN + timedelta(seconds=1))
    bars = daily_bars(practice, practice.stocks["AAPL"], 401)

    assert bars[:-1] == monday
    assert on(bars[-1]) == date(2026, 11, 24)
    assert bars[-2].close == pytest.approx(practice.stocks["AAPL"].previous_close, rel=1e-6)
    assert daily_bars(practice, practice.stocks["AAPL"], 2) == bars[-2:]
    assert daily_bars(practice, practice.stocks["AAPL"], 1) == bars[-1:]


def test_a_new_listing_has_no_past() -> None:
    practice = market()
    practice.list_new(replace(listings.invented("IPO", name="IPO"), price=30.0))

    assert len(daily_bars(practice, practice.stocks["IPO"], 400)) == 1
    assert dividends(practice, practice.stocks["IPO"]) == []


def test_dividends_come_each_quarter_on_a_session_and_add_up_to_the_yearly_rate() -> None:
    practice = market()
    paid = dividends(practice, practice.stocks["AAPL"])
    opens = {span.open_s for span in sessions(practice, practice.stocks["AAPL"], 1_260)}

    # AAPL's recorded trailing rate is 1.05 USD; it was paid on 2026-08-13.
    assert sum(each.amount_usd for each in paid if each.at_s > NOON.timestamp() - 365 * 86_400) == 1.05
    assert all(each.at_s in opens for each in paid)
    assert on(Bar(paid[-2].at_s, 1, 1, 1, 1, 1)) == date(2026, 8, 10)
    gaps = [(after.at_s - before.at_s) / 86_400 for before, after in pairwise(paid)]
    assert all(85 < gap < 97 for gap in gaps)


def test_who_pays_nothing_has_no_dividend() -> None:
    practice = market()

    assert dividends(practice, practice.stocks["SOHO"]) == []


def test_closes_before_an_ex_date_are_adjusted_by_the_dividend_over_the_close_before_it() -> None:
    bars = [Bar(day, close, close, close, close, 1) for day, close in ((1, 100.0), (2, 100.0), (3, 98.0), (4, 49.0))]

    # By hand: factor 1 - 1/98 before day 4, times 1 - 2/100 before day 3.
    assert adjusted_closes(bars, [Dividend(at_s=3, amount_usd=2.0), Dividend(at_s=4, amount_usd=1.0)]) == pytest.approx(
        [100 * 0.98 * 97 / 98, 100 * 0.98 * 97 / 98, 98 * 97 / 98, 49.0]
    )


def test_a_dividend_by_script_is_today_s_and_lowers_the_adjusted_past() -> None:
    practice = market()
    stock = practice.stocks["F"]
    before = adjusted_closes(daily_bars(practice, stock, 5), dividends(practice, stock))
    practice.pay_dividend("F", 0.5)
    bars, paid = daily_bars(practice, stock, 5), dividends(practice, stock)

    assert (paid[-1].at_s, paid[-1].amount_usd) == (practice.hours.open_s, 0.5)
    assert adjusted_closes(bars, paid)[0] == pytest.approx(before[0] * (1 - 0.5 / bars[-2].close))
    # What a quarter's fourth was stays what it was.
    assert [each.amount_usd for each in paid[:-1]] == [each.amount_usd for each in dividends(market(), stock)[:-1]]


def test_a_split_by_script_restates_the_whole_past() -> None:
    practice = market()
    stock = practice.stocks["AAPL"]
    before = daily_bars(practice, stock, 400)
    practice.split("AAPL", 4, 1)
    after = daily_bars(practice, stock, 400)

    assert [(each.new, each.old) for each in splits(practice, stock)][-1:] == [(4, 1)]
    for old, new in zip(before, after, strict=True):
        assert new.close == pytest.approx(old.close / 4, abs=0.0051)
        assert new.volume == pytest.approx(old.volume * 4, abs=3)


def test_about_one_ticker_in_twelve_has_had_a_split() -> None:
    calendar = build_calendar(MarketSettings(calendar="XNYS"), read=read_text)
    practice = Market(listings.bundled()[:600], calendar=calendar, seed=1, now=NOON)
    stocks = [stock for stock in practice.stocks.values() if stock is not practice.canary]

    assert sum(bool(splits(practice, stock)) for stock in stocks) / len(stocks) == pytest.approx(1 / 12, abs=0.03)


def test_the_crypto_pair_s_days_are_utc_s() -> None:
    practice = market()
    spans = sessions(practice, practice.canary, 3)

    assert [span.open_s % 86_400 for span in spans] == [0, 0, 0]
    assert spans[0].open_s == datetime(2026, 11, 23, tzinfo=UTC).timestamp()
    assert len(daily_bars(practice, practice.canary, 30)) == 30
