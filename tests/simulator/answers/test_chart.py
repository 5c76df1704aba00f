from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.files import read_text
from core.settings import Market as MarketSettings
from market.sessions import build_calendar
from simulator.answers import chart
from simulator.world import listings
from simulator.world.walk import Market

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
NOW_S = int(NOON.timestamp())
DAY_S = 86_400
OPEN_S = NOW_S - 9_000
SYMBOLS = ["AAPL", "F", "NA", "QQQ"]


def market(calendar: str = "XNYS", *, now: datetime = NOON) -> Market:
    known = build_calendar(MarketSettings(calendar=calendar), read=read_text)
    return Market(listings.chosen(SYMBOLS), calendar=known, seed=1, now=now)


@pytest.fixture(scope="module")
def practice() -> Market:
    return market()


def result(practice: Market, symbol: str = "AAPL", **query: str) -> dict[str, Any]:
    status, document = chart.answer(practice, symbol, query)
    assert (status, document["chart"]["error"]) == (200, None)
    (found,) = document["chart"]["result"]
    return dict(found)


def error(practice: Market, symbol: str = "AAPL", **query: str) -> tuple[int, str, str]:
    status, document = chart.answer(practice, symbol, query)
    assert document["chart"]["result"] is None
    return status, document["chart"]["error"]["code"], document["chart"]["error"]["description"]


def columns(found: dict[str, Any]) -> dict[str, list[Any]]:
    return dict(found["indicators"]["quote"][0])


@pytest.mark.parametrize(
    ("wanted", "least", "most"),
    [
        ("1d", 1, 1),
        ("5d", 5, 5),
        ("1mo", 19, 23),
        ("3mo", 60, 66),
        ("6mo", 122, 130),
        ("1y", 248, 254),
        ("2y", 498, 506),
    ],
)
def test_a_range_goes_back_as_far_as_it_says(practice: Market, wanted: str, least: int, most: int) -> None:
    found = result(practice, range=wanted, interval="1d")

    assert least <= len(found["timestamp"]) <= most
    assert found["meta"]["range"] == wanted
    assert found["timestamp"][-1] == practice.stocks["AAPL"].trade_time_s  # in the session: the last trade's


def test_ytd_begins_with_the_year_and_max_with_the_first_bar(practice: Market) -> None:
    ytd, everything = result(practice, range="ytd", interval="1d"), result(practice, range="max", interval="1d")

    assert datetime.fromtimestamp(ytd["timestamp"][0], UTC).strftime("%F") == "2026-01-02"
    assert len(everything["timestamp"]) == 1_260


def test_a_period_holds_the_bars_from_its_start_up_to_before_its_end(practice: Market) -> None:
    monday = int(datetime(2026, 11, 16, 14, 30, tzinfo=UTC).timestamp())
    found = result(practice, period1=str(monday), period2=str(monday + DAY_S), interval="1d")

    assert found["timestamp"] == [monday]
    assert found["meta"]["range"] == ""
    before = result(practice, period1=str(monday - 3 * DAY_S), period2=str(monday), interval="1d")
    assert found["meta"]["chartPreviousClose"] == pytest.approx(columns(before)["close"][0], abs=0.001)


def test_a_weekend_has_no_bars_and_no_timestamp(practice: Market) -> None:
    saturday = int(datetime(2026, 11, 21, 5, 0, tzinfo=UTC).timestamp())
    found = result(practice, period1=str(saturday), period2=str(saturday + DAY_S), interval="1d")

    assert "timestamp" not in found
    assert found["indicators"] == {"quote": [{}], "adjclose": [{}]}


def test_minutes_of_today_add_up_to_the_quote_s_day_while_it_goes_on() -> None:
    practice = market()
    for second in range(1, 200):
        practice.advance(NOON + timedelta(seconds=second))
    for symbol in SYMBOLS:
        stock = practice.stocks[symbol]
        bars = columns(result(practice, symbol, range="1d", interval="1m"))
        day = [bars["open"][0], max(bars["high"]), min(bars["low"]), bars["close"][-1], sum(bars["volume"])]
        assert day == pytest.approx([stock.open, stock.high, stock.low, stock.price, stock.volume], rel=1e-6)


def test_a_minute_that_was_streamed_does_not_change_any_more() -> None:
    practice = market()
    for second in range(1, 130):
        practice.advance(NOON + timedelta(seconds=second))
    early = result(practice, range="1d", interval="1m")
    for second in range(130, 300):
        practice.advance(NOON + timedelta(seconds=second))
    late = result(practice, range="1d", interval="1m")

    rows = [dict(zip(found["timestamp"], columns(found)["close"], strict=True)) for found in (early, late)]
    for minute in (NOW_S, NOW_S + 60):
        assert rows[0][minute] == rows[1][minute]


@pytest.mark.parametrize(
    ("interval", "minutes"), [("2m", 2), ("5m", 5), ("15m", 15), ("30m", 30), ("60m", 60), ("90m", 90)]
)
def test_longer_bars_begin_at_the_open_and_keep_the_volume(practice: Market, interval: str, minutes: int) -> None:
    found = result(practice, range="1d", interval=interval)
    bars = columns(found)

    assert [(at_s - OPEN_S) % (60 * minutes) for at_s in found["timestamp"][:-1]] == [0] * (len(bars["open"]) - 1)
    assert sum(bars["volume"]) == practice.stocks["AAPL"].volume
    assert found["meta"]["dataGranularity"] == ("1h" if interval == "60m" else interval)


def test_minutes_of_an_earlier_day_merge_into_its_daily_bar(practice: Market) -> None:
    friday = OPEN_S - 3 * DAY_S
    minutes = columns(result(practice, period1=str(friday), period2=str(friday + 23_400), interval="1m"))
    daily = columns(result(practice, period1=str(friday), period2=str(friday + 1), interval="1d"))

    assert len(minutes["open"]) == 391  # and the last trade, as Yahoo does
    assert minutes["volume"][-1] == 0
    whole = [minutes["open"][0], max(minutes["high"][:-1]), min(minutes["low"][:-1]), minutes["close"][-2]]
    assert whole == [daily[name][0] for name in ("open", "high", "low", "close")]
    assert sum(minutes["volume"]) == daily["volume"][0]


def test_a_seldom_traded_ticker_has_few_minutes(practice: Market) -> None:
    found = result(practice, "NA", range="5d", interval="1m")

    assert 0 < len(found["timestamp"]) < 500


def test_weeks_begin_on_monday_and_months_on_the_first(practice: Market) -> None:
    weeks = result(practice, range="3mo", interval="1wk")
    months = result(practice, range="1y", interval="1mo")
    quarters = result(practice, range="1y", interval="3mo")

    assert {datetime.fromtimestamp(at_s - 14_400, UTC).weekday() for at_s in weeks["timestamp"]} == {0}
    assert {datetime.fromtimestamp(at_s - 14_400, UTC).day for at_s in months["timestamp"]} == {1}
    assert {datetime.fromtimestamp(at_s - 14_400, UTC).month % 3 for at_s in quarters["timestamp"]} == {1}
    daily = columns(result(practice, range="3mo", interval="1d"))
    assert columns(weeks)["volume"][-2] == sum(daily["volume"][-6:-1])


def test_prices_are_single_precision_as_yahoo_s_are(practice: Market) -> None:
    closes = columns(result(practice, range="1mo", interval="1d"))["close"]

    assert any(close != round(close, 2) for close in closes)
    assert all(close == pytest.approx(round(close, 2), rel=1e-6) for close in closes)


def test_events_are_there_when_asked_for_and_only_those(practice: Market) -> None:
    both = result(practice, range="1y", interval="1d", events="div,splits,capitalGains")
    none = result(practice, range="1y", interval="1d", events="")

    assert len(both["events"]["dividends"]) == 4
    assert all(int(second) in both["timestamp"] for second in both["events"]["dividends"])
    assert "events" not in none
    assert "dividends" not in result(practice, range="1y", interval="1d", events="split").get("events", {})


def test_a_split_by_script_is_an_event_in_yahoo_s_words() -> None:
    practice = market()
    practice.split("AAPL", 4, 1)
    found = result(practice, range="5d", interval="1d", events="div|split|earn")

    assert found["events"]["splits"] == {
        str(OPEN_S): {"date": OPEN_S, "numerator": 4, "denominator": 1, "splitRatio": "4:1"}
    }


def test_with_pre_and_post_market_the_trading_periods_come_by_name(practice: Market) -> None:
    plain = result(practice, range="1d", interval="1m")["meta"]["tradingPeriods"]
    named = result(practice, range="1d", interval="1m", includePrePost="true")["meta"]["tradingPeriods"]

    assert plain == named["regular"]
    ((pre,),) = named["pre"]
    ((regular,),) = named["regular"]
    assert (regular["start"], regular["end"] - regular["start"]) == (OPEN_S, 23_400)
    assert (pre["start"], pre["end"]) == (OPEN_S - 19_800, OPEN_S)
    assert (pre["timezone"], pre["gmtoffset"]) == ("EST", -18_000)


def test_an_unknown_or_delisted_symbol_is_not_found(practice: Market) -> None:
    assert error(practice, "NO-SUCH") == (404, "Not Found", "No data found, symbol may be delisted")
    gone = market()
    gone.delist("F")
    assert error(gone, "F")[0] == 404


@pytest.mark.parametrize("interval", ["7m", "", "1D", "1w", "0", "💥"])
def test_an_interval_that_there_is_not_is_a_bad_request_with_the_known_ones(practice: Market, interval: str) -> None:
    status, code, said = error(practice, range="1mo", interval=interval)

    assert (status, code) == (400, "Bad Request")
    # Quoted in public reports of 2025 and 2026.
    assert said == (
        f"Invalid input - interval={interval} is not supported. "
        "Valid intervals: [1m, 2m, 5m, 15m, 30m, 60m, 90m, 1h, 4h, 1d, 5d, 1wk, 1mo, 3mo]"
    )


@pytest.mark.parametrize("wanted", ["5w", "-1d", "d", "mo", "y", "0d", "1e3d", "٣d", "1 d", "max1"])
def test_a_range_that_there_is_not_is_a_bad_request(practice: Market, wanted: str) -> None:
    assert error(practice, range=wanted, interval="1d")[:2] == (400, "Bad Request")


def test_periods_that_are_no_numbers_or_the_wrong_way_round_are_bad_requests(practice: Market) -> None:
    assert error(practice, period1="abc", period2="5", interval="1d")[:2] == (400, "Bad Request")
    assert error(practice, period1="200", period2="100", interval="1d")[2] == (
        "Invalid input - start date cannot be after end date. startDate = 200, endDate = 100"
    )


def test_before_the_first_trade_data_does_not_exist() -> None:
    practice = market()
    practice.list_new(replace(listings.invented("IPO", name="IPO"), price=30.0))

    assert error(practice, "IPO", period1="1577836800", period2="1578009600", interval="1d") == (
        400,
        "Bad Request",
        "Data doesn't exist for startDate = 1577836800, endDate = 1578009600",
    )


@pytest.mark.parametrize(
    ("interval", "days_back", "words"),
    [
        ("1m", 31, "The requested range must be within the last 30 days."),
        ("5m", 61, "The requested range must be within the last 60 days."),
        ("1h", 731, "The requested range must be within the last 730 days."),
        ("1m", 20, "Only 8 days worth of 1m granularity data are allowed to be fetched per request."),
    ],
)
def test_minutes_too_far_back_or_too_many_cannot_be_processed(
    practice: Market, interval: str, days_back: int, words: str
) -> None:
    start_s = NOW_S - days_back * DAY_S
    status, code, said = error(practice, period1=str(start_s), period2=str(NOW_S), interval=interval)

    assert (status, code) == (422, "Unprocessable Entity")
    assert said == f"{interval} data not available for startTime={start_s} and endTime={NOW_S}. {words}"


def test_the_crypto_pair_has_bars_of_utc_days(practice: Market) -> None:
    found = result(practice, "BTC-USD", range="5d", interval="1d")

    assert [at_s % DAY_S for at_s in found["timestamp"]] == [0] * 5
    assert (found["meta"]["instrumentType"], found["meta"]["timezone"]) == ("CRYPTOCURRENCY", "UTC")


def test_before_the_open_the_current_period_is_today_s_and_after_friday_s_close_friday_s() -> None:
    early = result(market(now=NOON - timedelta(hours=4)), range="1d")["meta"]["currentTradingPeriod"]
    sunday = result(market(now=NOON - timedelta(days=1)), range="1d")["meta"]["currentTradingPeriod"]

    assert early["regular"]["start"] == OPEN_S
    assert sunday["regular"]["start"] == OPEN_S - 3 * DAY_S


def test_an_endless_session_has_its_minutes_too() -> None:
    practice = market("always")
    found = result(practice, "F", range="1d", interval="5m")

    assert sum(columns(found)["volume"]) == practice.stocks["F"].volume
    assert len(found["timestamp"]) > 100


@pytest.mark.parametrize("text", ["99999999wk", "9" * 5_000 + "d", "99999y"])
def test_a_range_of_too_many_digits_is_refused(text: str) -> None:
    status, document = chart.answer(market(), "AAPL", {"range": text})

    assert (status, document["chart"]["error"]["code"]) == (400, "Bad Request")


@pytest.mark.parametrize("text", ["9999wk", "9999mo", "9999y"])
def test_a_range_longer_than_the_past_is_all_of_it(text: str) -> None:
    practice = market()
    (asked,), (whole,) = (
        chart.answer(practice, "AAPL", {"range": each, "interval": "1d"})[1]["chart"]["result"]
        for each in (text, "max")
    )

    assert asked["timestamp"] == whole["timestamp"]
