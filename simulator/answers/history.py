"""A ticker's past: daily bars, dividends and splits, made on request from the seed. Stores nothing, moves no price.

The days before the market's start are a walk that ends in the close before it and reaches the quote's 52-week extremes
and average volumes; the days since are what really traded.
"""

from __future__ import annotations

import math
import random
import zlib
from dataclasses import dataclass

from simulator.answers.facts import Facts
from simulator.answers.quotes import fixed
from simulator.world.bars import Bar, packed, unpacked
from simulator.world.hours import Span
from simulator.world.walk import DAY_SWING, Market, Stock, digits_of

LONGEST_SESSIONS = 1_260
"""Five years: no past is longer."""
DAY_S = 86_400
YEAR_S = 365 * DAY_S
YEAR_SESSIONS = 367
"""No year has more of them."""
QUARTER_S = 91 * DAY_S
EX_DATE_BEFORE_PAYDAY_S = 3 * DAY_S
DAYS_3_MONTHS, DAYS_10 = 63, 10
FARTHEST = math.log(20.0)
"""No price is more times the newest one or less of it, but for the quote's own 52-week extremes."""
PULL = 0.005
"""Share of the way back to the last close that the walk goes each day."""
ONE_IN_SPLIT = 12
"""Of so many tickers one has had a split in those five years."""
SPLITS = ((2, 1), (3, 1), (4, 1), (10, 1), (1, 10))


@dataclass(frozen=True, slots=True, kw_only=True)
class Dividend:
    at_s: int
    amount_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    at_s: int
    new: int
    old: int


def sessions(market: Market, stock: Stock, count: int) -> list[Span]:
    """Return up to `count` newest sessions of the ticker, newest first: the current or last one, then earlier ones."""
    if stock is market.canary:
        return [_utc_day(market.now_s, back) for back in range(min(count, LONGEST_SESSIONS))]
    current = Span(market.hours.open_s, market.hours.close_s)
    ended = market.ended[::-1][: count - 1]
    more = max(0, min(count, LONGEST_SESSIONS) - 1 - len(ended))
    earlier = market.earlier.sessions(more) if stock.anchor else []
    found = [span for span in (current, *ended, *earlier) if span.open_s >= stock.listed_s]
    first_s = _first_trade_s(stock, market)
    return [span for span in found if span.open_s >= first_s]


def daily_bars(market: Market, stock: Stock, count: int) -> list[Bar]:
    """Return up to `count` daily bars, oldest first, the last one today's so far; splits are in them, dividends not."""
    spans = sessions(market, stock, count)
    if not spans:
        return []
    today = stock.day(spans[0].open_s)
    since = unpacked(stock.past)
    before = _walk(market, stock, spans[1 + len(since) :]) if stock.anchor else []
    return unpacked(packed([*before, *since, today]))[-count:]


def adjusted_closes(bars: list[Bar], dividends: list[Dividend]) -> list[float]:
    """Return the closes as they look after the dividends paid since (CRSP's method: 1 - dividend / close before)."""
    factor, found = 1.0, []
    waiting = sorted(dividends, key=lambda dividend: dividend.at_s)
    for index in range(len(bars) - 1, -1, -1):
        found.append(bars[index].close * factor)
        while waiting and waiting[-1].at_s >= bars[index].at_s:
            paid = waiting.pop()
            if index and bars[index - 1].close > paid.amount_usd:
                factor *= 1 - paid.amount_usd / bars[index - 1].close
    return found[::-1]


def dividends(market: Market, stock: Stock) -> list[Dividend]:
    """Return what was paid, oldest first, on the opens of its ex-dates: each quarter a fourth of the yearly rate."""
    facts = fixed(stock, market)
    scripted = sum(usd for _, usd in stock.dividends)
    yearly = facts.get("trailingAnnualDividendRate", 0) - scripted
    found = []
    if yearly > 0.01:
        spans = sessions(market, stock, LONGEST_SESSIONS)
        phase_s = facts.get("dividendDate", zlib.crc32(stock.origin.encode())) - EX_DATE_BEFORE_PAYDAY_S
        quarters = [(span.open_s - phase_s) // QUARTER_S for span in spans]
        # A quarter's ex-date is its first session.
        pairs = zip(spans, quarters, quarters[1:], strict=False)
        found = [
            Dividend(at_s=span.open_s, amount_usd=round(yearly / 4, 4))
            for span, quarter, before in pairs
            if quarter > before and span.open_s < market.earlier.before_s
        ]
    return [*found[::-1], *(Dividend(at_s=at_s, amount_usd=round(usd, 4)) for at_s, usd in stock.dividends)]


def splits(market: Market, stock: Stock) -> list[Split]:
    """Return the splits, oldest first."""
    dice = random.Random(f"{market.seed} split {stock.origin}")
    scripted = [Split(at_s=at_s, new=new, old=old) for at_s, new, old in stock.splits]
    spans = sessions(market, stock, LONGEST_SESSIONS)[1 + len(market.ended) :]
    if dice.randrange(ONE_IN_SPLIT) or not spans:
        return scripted
    (new, old), span = dice.choice(SPLITS), dice.choice(spans)
    return [Split(at_s=span.open_s, new=new, old=old), *scripted]


def _utc_day(now_s: int, back: int) -> Span:
    """Return the crypto pair's session: a day of UTC but its last minute."""
    open_s = now_s - now_s % DAY_S - back * DAY_S
    return Span(open_s, open_s + DAY_S - 60)


def _first_trade_s(stock: Stock, market: Market) -> int:
    return int(fixed(stock, market).get("firstTradeDateMilliseconds", 0)) // 1000


def _walk(market: Market, stock: Stock, spans: list[Span]) -> list[Bar]:
    """Return the bars of these sessions, which come newest first; the bars come oldest first."""
    # The shape follows from the last year alone, so a short request sees the same bars as a long one.
    year_ago_s = market.earlier.before_s - YEAR_S
    year = sum(span.open_s >= year_ago_s for span in market.earlier.sessions(YEAR_SESSIONS))
    count = max(len(spans), year, DAYS_3_MONTHS)
    rows = _raw(count, random.Random(f"{market.seed} prices {stock.origin}"))
    facts = fixed(stock, market)
    low = min(facts.get("fiftyTwoWeekLow", stock.anchor), stock.anchor)
    high = max(facts.get("fiftyTwoWeekHigh", stock.anchor), stock.anchor)
    # Up and down are stretched apart, each evenly, so that a bar's low stays its lowest.
    up = math.log(high / stock.anchor) / max(row[1] for row in rows[:year] or rows)
    down = math.log(low / stock.anchor) / min(row[2] for row in rows[:year] or rows)
    # A year of little movement stretched to its extremes would lead the years before it out of the world.
    farthest = max(FARTHEST, math.log(high / stock.anchor), -math.log(low / stock.anchor))
    volumes = _volumes(facts, count, random.Random(f"{market.seed} volumes {stock.origin}"))
    digits = digits_of(stock.anchor)
    bars = []
    for span, row, volume in zip(spans, rows, volumes, strict=False):
        moves = (min(max(y * (up if y > 0 else down), -farthest), farthest) for y in row)
        prices = (stock.anchor * math.exp(move) for move in moves)
        opened, top, bottom, close = (max(round(price, digits), 10.0**-digits) for price in prices)
        bars.append(Bar(span.open_s, opened, top, bottom, close, volume))
    return bars[::-1]


def _raw(count: int, dice: random.Random) -> list[tuple[float, float, float, float]]:
    """Return open, high, low and close of `count` days as logarithms, newest first; the newest close is 0."""
    roll = dice.random
    rows, close = [], 0.0
    for _ in range(count):
        before = close * (1 - PULL) - (roll() + roll() + roll() - 1.5) * 2 * DAY_SWING
        opened = before + (roll() - 0.5) * DAY_SWING / 2
        high = max(opened, close) + roll() * DAY_SWING / 2
        low = min(opened, close) - roll() * DAY_SWING / 2
        rows.append((opened, high, low, close))
        close = before
    return rows


def _volumes(facts: Facts, count: int, dice: random.Random) -> list[int]:
    """Return daily volumes, newest first, whose means over 10 days and 3 months are the quote's."""
    raw = [dice.lognormvariate(0, 0.4) for _ in range(count)]
    mean_3_months: float = facts.get("averageDailyVolume3Month") or 0
    mean_10: float = facts.get("averageDailyVolume10Day") or mean_3_months
    days = DAYS_3_MONTHS - DAYS_10
    rest = max(0.0, (DAYS_3_MONTHS * mean_3_months - DAYS_10 * mean_10) / days)
    newest = mean_10 * DAYS_10 / sum(raw[:DAYS_10])
    older = rest * days / sum(raw[DAYS_10:DAYS_3_MONTHS])
    factors = [*[newest] * DAYS_10, *[older] * days, *[mean_3_months] * (count - DAYS_3_MONTHS)]
    return [round(value * factor) for value, factor in zip(raw, factors, strict=True)]
