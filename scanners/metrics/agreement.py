"""Do two sources speak of the same market? Pure: compares what does not move within a session, judges no proxy.

A price moves from second to second, so that two honest answers differ in it. The previous close, the open, the
52-week range and the number of shares do not; and a price of the same second is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from itertools import pairwise
from typing import Literal

from market.quotes import Quote

Word = Literal["agree", "differ", "silent"]
TOLERANCE = 0.002
"""Of what stands still: rounding, and the 32 bits of the stream. Who changes numbers gains nothing by less."""
SHARES_TOLERANCE = 0.005
FIT_TOLERANCE = 0.01
"""Of what follows from other numbers, of which some are rounded."""
ROUNDING_USD = 0.000_1
"""Yahoo rounds to four decimals; below this times a hundred a price is no witness."""
SMALLEST_WITNESS_USD = 0.05
MOMENT = timedelta(minutes=2)
MOVED_IN_A_MOMENT, MOVED = 0.03, 0.2
"""What a price may move meanwhile. By more it is no proof of a lie, but the ticker is no witness."""


def word(one: Quote, other: Quote) -> Word:
    """Return whether two quotes of one ticker agree; "silent" where too little stands in both to say so."""
    pairs = [(one.previous_close, other.previous_close), (one.open_price, other.open_price)]
    if one.price_time is not None and one.price_time == other.price_time:
        pairs.append((one.current_price, other.current_price))
    pairs += [_still(one, other, "high"), _still(one, other, "low")]
    if any(_apart(*pair, tolerance=TOLERANCE) for pair in pairs):
        return "differ"
    if _apart(one.shares_outstanding, other.shares_outstanding, tolerance=SHARES_TOLERANCE):
        return "differ"
    return "agree" if _can_tell(one.previous_close, other.previous_close) and not has_moved(one, other) else "silent"


def has_moved(one: Quote, other: Quote) -> bool:
    """Whether two prices are further apart than a market moves between two answers: one may have been changed."""
    times = (one.price_time, other.price_time)
    is_near = None in times or abs(times[0] - times[1]) <= MOMENT  # type: ignore[operator]  # neither is None
    return _apart(one.current_price, other.current_price, tolerance=MOVED_IN_A_MOMENT if is_near else MOVED)


def withholds(quote: Quote, other: Quote) -> bool:
    """Whether it leaves out the previous close that the other tells: what is not said cannot be compared."""
    return quote.previous_close is None and _can_tell(other.previous_close, other.previous_close)


def contradicts_itself(quote: Quote) -> bool:
    """Whether the price less its change is not the previous close: one of the three is wrong."""
    if quote.current_price is None or quote.price_change is None:
        return False
    return _apart(quote.current_price - quote.price_change, quote.previous_close, tolerance=TOLERANCE)


def shape(quote: Quote) -> tuple[float | None, ...]:
    """Return how its numbers stand to each other: 1 where one follows from others, 0 where one is out of its bounds.

    None where too little is told. Of some tickers Yahoo's own do not fit: a market value of all classes of shares.
    """
    price = quote.current_price
    return (
        _quotient(_times(quote.pe_ratio, quote.earnings_per_share), price),
        _quotient(_times(quote.price_to_book, quote.book_value), price),
        _quotient(quote.market_cap, _times(quote.shares_outstanding, price)),
        _in_order(quote.days_low, price, quote.days_high),
        _in_order(quote.week_52_low, quote.days_low, quote.days_high, quote.week_52_high),
        _in_order(quote.days_low, quote.open_price, quote.days_high),
        _in_order(quote.bid_price, quote.ask_price),
    )


def is_strange(quote: Quote, held: Quote | None) -> bool:
    """Whether its numbers do not fit each other, or what the table has held since the open."""
    if any(_apart(each, 1.0, tolerance=FIT_TOLERANCE) for each in shape(quote)):
        return True
    if held is None:
        return False
    is_less = None not in (quote.volume, held.volume) and quote.volume < held.volume  # type: ignore[operator]
    return is_less or _apart(quote.avg_volume_3mon, held.avg_volume_3mon, tolerance=TOLERANCE)


def is_alike(one: Quote, other: Quote) -> bool:
    """Whether two sources tell the same strange numbers: then they are Yahoo's."""
    pairs = zip(shape(one), shape(other), strict=True)
    return word(one, other) != "differ" and not any(_apart(*pair, tolerance=FIT_TOLERANCE) for pair in pairs)


def words(one: Mapping[str, Quote], other: Mapping[str, Quote]) -> dict[Word, list[str]]:
    """Return the tickers that both hold, by whether they agree."""
    found: dict[Word, list[str]] = {"agree": [], "differ": [], "silent": []}
    small, large = (one, other) if len(one) <= len(other) else (other, one)
    for ticker, quote in small.items():
        if (held := large.get(ticker)) is not None:
            found[word(quote, held)].append(ticker)
    return found


def can_witness(quotes: Iterable[Quote]) -> list[str]:
    """Return the tickers whose previous close is large enough to tell a change of a percent from rounding."""
    return [quote.ticker for quote in quotes if _can_tell(quote.previous_close, quote.previous_close)]


def leaves_open(quotes: Iterable[Quote]) -> list[str]:
    """Return the tickers of a price without the previous close that belongs to it: left out perhaps."""
    return [
        quote.ticker
        for quote in quotes
        if not _can_tell(quote.previous_close, quote.previous_close)
        and (quote.previous_close is None or _can_tell(quote.current_price, quote.current_price))
    ]


def _still(one: Quote, other: Quote, end: Literal["high", "low"]) -> tuple[float | None, float | None]:
    """Return the two ends of the 52-week range, nothing if a new extreme of today may have moved one of them."""
    ends = [getattr(each, f"week_52_{end}") for each in (one, other)]
    days = {getattr(each, f"days_{end}") for each in (one, other)}
    return (None, None) if None in days or days & set(ends) else (ends[0], ends[1])


def _times(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one * other


def _quotient(one: float | None, other: float | None) -> float | None:
    return None if one is None or not other else one / other


def _in_order(*numbers: float | None) -> float | None:
    told = [each for each in numbers if each is not None]
    return float(all(low <= high * (1.0 + TOLERANCE) for low, high in pairwise(told)))


def _apart(one: float | None, other: float | None, *, tolerance: float) -> bool:
    if one is None or other is None:
        return False
    return abs(one - other) > max(tolerance * max(abs(one), abs(other)), ROUNDING_USD)


def _can_tell(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and min(one, other) >= SMALLEST_WITNESS_USD
