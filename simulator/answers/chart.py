"""Yahoo's chart answers: bars, dividends and splits of one ticker in a window. Makes no price, does no I/O."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from typing import Any

from market.eastern import EASTERN, local_date, local_to_utc, to_local
from simulator.answers.facts import Facts
from simulator.answers.history import DAY_S, LONGEST_SESSIONS, adjusted_closes, daily_bars, dividends, sessions, splits
from simulator.answers.quotes import fixed, whole, year_range
from simulator.world.bars import Bar, merged, minutes_of, packed, unpacked
from simulator.world.hours import POST_MARKET_S, PRE_MARKET_S, Span
from simulator.world.walk import TRADE_USD, Market, Stock

Answer = tuple[int, Facts]
"""Status and document."""

MINUTES = {"1m": 1, "2m": 2, "5m": 5, "15m": 15, "30m": 30, "60m": 60, "90m": 90, "1h": 60, "4h": 240}
LONGER = ("1d", "5d", "1wk", "1mo", "3mo")
REACH_DAYS = {"1m": 30, "60m": 730, "1h": 730, "4h": 730}
"""How far back bars of minutes and hours go; the others 60 days."""
DAYS_OF_MINUTES = 8
"""More of 1m is not given at once."""
RANGES = ["1d", "5d", "1mo", "3mo", "6mo", "1y", "2y", "5y", "10y", "ytd", "max"]
RANGE_DIGITS = 4
FIRST_DAY = date(1971, 1, 1)
_SINGLE = struct.Struct("<f")
TYPES = {"ETF": "ETF", "Crypto": "CRYPTOCURRENCY"}


class _Refused(Exception):
    """`document`: Yahoo's error body."""

    def __init__(self, status: int, code: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.document = {"chart": {"result": None, "error": {"code": code, "description": description}}}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """What was asked for. `days`: so many newest sessions, else those from `start_s` up to `end_s`."""

    interval: str
    range: str
    start_s: int
    end_s: int
    days: int | None
    pre_post: bool
    events: frozenset[str]

    @property
    def in_minutes(self) -> bool:
        return self.interval in MINUTES


def answer(market: Market, symbol: str, query: Mapping[str, str]) -> Answer:
    """Return status and document for /v8/finance/chart/`symbol`."""
    stock = market.stocks.get(symbol)
    try:
        if stock is None:
            raise _Refused(404, "Not Found", "No data found, symbol may be delisted")
        window = _window(market, stock, query)
        _check_reach(market, stock, window)
    except _Refused as refused:
        return refused.status, refused.document
    return 200, {"chart": {"result": [_result(market, stock, window)], "error": None}}


def _window(market: Market, stock: Stock, query: Mapping[str, str]) -> _Window:
    wanted = query.get("range", "" if "period1" in query else "1d")
    interval = query.get("interval", "1m" if wanted == "1d" else "1d")
    if interval not in MINUTES and interval not in LONGER:
        known = ", ".join([*MINUTES, *LONGER])
        raise _Refused(
            400, "Bad Request", f"Invalid input - interval={interval} is not supported. Valid intervals: [{known}]"
        )
    start_s, end_s, days = (0, market.now_s + 1, None)
    if "period1" in query:
        start_s = _seconds(query, "period1", 0)
        end_s = _seconds(query, "period2", market.now_s + 1)
        if start_s > end_s:
            said = f"startDate = {start_s}, endDate = {end_s}"
            raise _Refused(400, "Bad Request", f"Invalid input - start date cannot be after end date. {said}")
    else:
        start_s, days = _range(wanted, market.now_s)
    return _Window(
        interval=interval,
        range="" if "period1" in query else wanted,
        start_s=start_s,
        end_s=end_s,
        days=days,
        pre_post=query.get("includePrePost", "").lower() == "true",
        events=frozenset(query.get("events", "").replace("|", ",").split(",")),
    )


def _seconds(query: Mapping[str, str], key: str, default: int) -> int:
    text = query.get(key, str(default))
    try:
        return int(text)
    except ValueError as error:
        raise _Refused(400, "Bad Request", f"Invalid input - {key}={text} is not supported.") from error


def _range(text: str, now_s: int) -> tuple[int, int | None]:
    """Return the first second, or 0 and the number of sessions."""
    today = local_date(datetime.fromtimestamp(now_s, UTC))
    number = text.rstrip("dmowky")
    count = int(number) if number.isascii() and number.isdecimal() and len(number) <= RANGE_DIGITS else 0
    match text.removeprefix(number) if count else text:
        case "max":
            return 0, None
        case "ytd":
            return _midnight_s(date(today.year, 1, 1)), None
        case "d" if count:
            return 0, count
        case "wk" if count:
            return _midnight_s(max(today - timedelta(weeks=count), FIRST_DAY)), None
        case "mo" if count:
            return _midnight_s(_months_before(today, count)), None
        case "y" if count:
            return _midnight_s(_months_before(today, 12 * count)), None
    known = ", ".join(RANGES)
    raise _Refused(400, "Bad Request", f"Invalid input - range={text} is not supported. Valid ranges: [{known}]")


def _months_before(on: date, months: int) -> date:
    year, month = divmod(on.year * 12 + on.month - 1 - months, 12)
    return max(date(max(year, 1), month + 1, min(on.day, 28)), FIRST_DAY)


def _midnight_s(on: date) -> int:
    return int(local_to_utc(on, time()).timestamp())


def _check_reach(market: Market, stock: Stock, window: _Window) -> None:
    first_s = fixed(stock, market).get("firstTradeDateMilliseconds", 0) // 1000
    if window.end_s <= first_s:
        said = f"startDate = {window.start_s}, endDate = {window.end_s}"
        raise _Refused(400, "Bad Request", f"Data doesn't exist for {said}")
    if not window.in_minutes or window.days is not None:
        return
    reach = REACH_DAYS.get(window.interval, 60)
    said = f"{window.interval} data not available for startTime={window.start_s} and endTime={window.end_s}."
    if window.start_s < market.now_s - reach * DAY_S:
        raise _Refused(422, "Unprocessable Entity", f"{said} The requested range must be within the last {reach} days.")
    if window.interval == "1m" and window.end_s - window.start_s > DAYS_OF_MINUTES * DAY_S:
        raise _Refused(
            422,
            "Unprocessable Entity",
            f"{said} Only {DAYS_OF_MINUTES} days worth of 1m granularity data are allowed to be fetched per request.",
        )


def _result(market: Market, stock: Stock, window: _Window) -> Facts:
    newest = sessions(market, stock, window.days or LONGEST_SESSIONS)
    # A bar's session may have opened before the window: 1m from noon on.
    inside = [span for span in newest if span.close_s > window.start_s and span.open_s < window.end_s]
    oldest_s = inside[-1].open_s if inside else newest[0].open_s
    days = daily_bars(market, stock, sum(1 for span in newest if span.open_s >= oldest_s) + 1)
    before = [bar for bar in days if bar.at_s < oldest_s]
    bars, adjusted = _bars(market, stock, window, inside, days)
    result: Facts = {"meta": _meta(market, stock, window, inside, before)}
    if bars:
        result["timestamp"] = [bar.at_s for bar in bars]
        if events := _events(market, stock, window, bars[0].at_s):
            result["events"] = events
    columns: Facts = {name: [_widened(getattr(bar, name)) for bar in bars] for name in ("open", "high", "low", "close")}
    columns["volume"] = [whole(bar.volume) for bar in bars]
    result["indicators"] = {"quote": [columns if bars else {}]}
    if not window.in_minutes:
        result["indicators"]["adjclose"] = [{"adjclose": [_widened(value) for value in adjusted]} if bars else {}]
    return result


def _widened(price: float) -> Any:
    """Return 131.9600067138672 for 131.96: Yahoo keeps bars as 32-bit floats and prints them as 64-bit ones."""
    return whole(_SINGLE.unpack(_SINGLE.pack(price))[0])


def _bars(
    market: Market, stock: Stock, window: _Window, inside: Sequence[Span], days: Sequence[Bar]
) -> tuple[list[Bar], list[float]]:
    """Return the window's bars and, of bars of a day and longer, their adjusted closes."""
    if window.in_minutes:
        return _in_minutes(market, stock, window, inside, days), []
    first_s = inside[-1].open_s if inside else window.end_s
    both = [
        (bar, close)
        for bar, close in zip(days, adjusted_closes(list(days), dividends(market, stock)), strict=True)
        if max(window.start_s, first_s) <= bar.at_s < window.end_s
    ]
    if window.interval != "1d":
        both = _grouped(both, window.interval)
    found, closes = [bar for bar, _ in both], [close for _, close in both]
    if found and window.interval == "1d" and market.is_open and found[-1].at_s == market.hours.open_s:
        # In the session the newest bar carries the time of the last trade.
        found[-1] = found[-1]._replace(at_s=max(stock.trade_time_s, found[-1].at_s))
    return found, closes


def _grouped(days: Iterable[tuple[Bar, float]], interval: str) -> list[tuple[Bar, float]]:
    """Return bars of weeks or months with their adjusted closes."""
    found = []
    for at_s, group in groupby(days, key=lambda pair: _group_s(pair[0].at_s, interval)):
        pairs = list(group)
        found.append((merged([bar for bar, _ in pairs])._replace(at_s=at_s), pairs[-1][1]))
    return found


def _group_s(at_s: int, interval: str) -> int:
    """Return midnight of the first day of the group that a day belongs to."""
    on = local_date(datetime.fromtimestamp(at_s, UTC))
    match interval:
        case "5d" | "1wk":
            return _midnight_s(on - timedelta(days=on.weekday()))
        case "1mo":
            return _midnight_s(on.replace(day=1))
    return _midnight_s(on.replace(month=on.month - (on.month - 1) % 3, day=1))


def _in_minutes(
    market: Market, stock: Stock, window: _Window, inside: Sequence[Span], days: Sequence[Bar]
) -> list[Bar]:
    by_open = {bar.at_s: bar for bar in days}
    grain_s = 60 * MINUTES[window.interval]
    found: list[Bar] = []
    for span in reversed(inside):
        for step, group in groupby(
            _minutes(market, stock, span, by_open[span.open_s]), key=lambda bar: (bar.at_s - span.open_s) // grain_s
        ):
            bar = merged(list(group))._replace(at_s=span.open_s + step * grain_s)
            if window.start_s <= bar.at_s < window.end_s:
                found.append(bar)
    if found and stock.trade_time_s > found[-1].at_s:
        # Yahoo appends the last trade, without volume, even behind the window's end.
        price = stock.price
        found.append(Bar(stock.trade_time_s, price, price, price, price, 0))
    return unpacked(packed(found))


def _minutes(market: Market, stock: Stock, span: Span, day: Bar) -> list[Bar]:
    """Return a session's minutes that had a trade: of this session as traded, of an earlier one made to fit its bar."""
    if span.open_s != market.hours.open_s or stock is market.canary:
        return _cut(market, stock, day, span, span.close_s)
    taped = stock.tape.bars()
    before = stock.tape.before
    if before is None:
        return taped
    until_s = taped[0].at_s if taped else min(market.now_s, span.close_s)
    cut = _cut(market, stock, before, span, until_s)
    if cut or not before.volume:
        return [*cut, *taped]
    # The market began in the first minute: there is none before the tape's.
    return [merged([before, *taped[:1]]), *taped[1:]]


def _cut(market: Market, stock: Stock, day: Bar, span: Span, until_s: int) -> list[Bar]:
    return minutes_of(
        day,
        from_s=span.open_s,
        until_s=min(until_s, max(market.now_s, span.open_s + 1)),
        trades=1 + int(day.volume * day.close / TRADE_USD),
        digits=stock.digits,
        dice=random.Random(f"{market.seed} minutes {stock.origin} {span.open_s}"),
    )


def _events(market: Market, stock: Stock, window: _Window, first_s: int) -> Facts:
    def wanted(at_s: int) -> bool:
        return first_s <= at_s < window.end_s

    events: Facts = {}
    paid = [each for each in dividends(market, stock) if wanted(each.at_s)] if "div" in window.events else []
    if paid:
        events["dividends"] = {str(each.at_s): {"amount": each.amount_usd, "date": each.at_s} for each in paid}
    parted = [each for each in splits(market, stock) if wanted(each.at_s)] if _asks_splits(window) else []
    if parted:
        events["splits"] = {
            str(each.at_s): {
                "date": each.at_s,
                "numerator": each.new,
                "denominator": each.old,
                "splitRatio": f"{each.new}:{each.old}",
            }
            for each in parted
        }
    return events


def _asks_splits(window: _Window) -> bool:
    return not window.events.isdisjoint(("split", "splits"))


def _meta(market: Market, stock: Stock, window: _Window, inside: Sequence[Span], before: Sequence[Bar]) -> Facts:
    facts = fixed(stock, market)
    low, high = year_range(stock, facts)
    zone_name = facts.get("exchangeTimezoneName", EASTERN)
    zone, offset_s = _zone(market.now_s, zone_name)
    meta: Facts = {
        "currency": "USD",
        "symbol": stock.listing.symbol,
        "exchangeName": facts["exchange"],
        "fullExchangeName": facts["fullExchangeName"],
        "instrumentType": TYPES.get(stock.listing.kind, "EQUITY"),
        "firstTradeDate": facts.get("firstTradeDateMilliseconds", 0) // 1000 or None,
        "regularMarketTime": stock.trade_time_s,
        "hasPrePostMarketData": facts["hasPrePostMarketData"],
        "gmtoffset": offset_s,
        "timezone": zone,
        "exchangeTimezoneName": zone_name,
        "regularMarketPrice": whole(stock.price),
        "fiftyTwoWeekHigh": whole(high),
        "fiftyTwoWeekLow": whole(low),
        "regularMarketDayHigh": whole(stock.high),
        "regularMarketDayLow": whole(stock.low),
        "regularMarketVolume": stock.volume,
        "longName": facts.get("longName", stock.listing.name),
        "shortName": facts.get("shortName", stock.listing.name),
        "chartPreviousClose": whole(round(before[-1].close, 3) if before else stock.previous_close),
    }
    if window.in_minutes:
        meta |= {"previousClose": whole(stock.previous_close), "scale": 3}
    span = sessions(market, stock, 1)[0] if stock is market.canary else market.trading_day()
    meta |= {"priceHint": stock.digits, "currentTradingPeriod": _periods(span, zone_name)}
    if window.in_minutes and inside:
        meta["tradingPeriods"] = _trading_periods(inside, window.pre_post, zone_name)
    interval = "1h" if window.interval == "60m" else window.interval
    return meta | {"dataGranularity": interval, "range": window.range, "validRanges": RANGES}


def _trading_periods(spans: Iterable[Span], pre_post: bool, zone_name: str) -> Any:
    periods = [_periods(span, zone_name) for span in spans][::-1]
    if not pre_post:
        return [[period["regular"]] for period in periods]
    return {name: [[period[name]] for period in periods] for name in ("pre", "post", "regular")}


def _periods(span: Span, zone_name: str) -> Facts:
    bounds = {
        "pre": (span.open_s - PRE_MARKET_S, span.open_s),
        "regular": span,
        "post": (span.close_s, span.close_s + POST_MARKET_S),
    }
    if zone_name != EASTERN:
        bounds |= {"pre": (span.open_s, span.open_s), "post": (span.close_s, span.close_s)}
    zone, offset_s = _zone(span.open_s, zone_name)
    return {
        name: {"timezone": zone, "start": start_s, "end": end_s, "gmtoffset": offset_s}
        for name, (start_s, end_s) in bounds.items()
    }


def _zone(at_s: int, zone_name: str) -> tuple[str, int]:
    local = to_local(datetime.fromtimestamp(at_s, UTC), zone_name)
    return local.tzname() or zone_name, (local.utcoffset() or timedelta()) // timedelta(seconds=1)
