"""Are a source's numbers sound enough for the table? Says which rule refuses them; changes no number."""

from __future__ import annotations

from datetime import datetime, timedelta

from market.quotes import Quote, Tick

CURRENCY = "USD"
LARGEST_DAY_RANGE = 100.0
"""A day's high above this many times its low is a unit fault (cents for dollars) or a split half applied."""
OUTSIDE_DAY_RANGE = 1.5
"""A price may leave its day's range by a late print, not by half of itself."""
JUMP = 1.5
"""From one trade to the next a price seldom moves by more than half of itself."""
AGREEMENT = 1.2
"""Two prices of the same minutes, from two sources or after a halt, are not further apart than this."""
UNIT_JUMP = 20.0
"""No day moves a price so many times: cents came for dollars, or another ticker's price."""
MOST_ODD = 0.1
"""An answer of which a larger share contradicts what is known is not believed: its rows may be each other's."""
FUTURE_TOLERANCE = timedelta(seconds=60)
"""Clocks differ. A time further ahead would outlast every true trade until then."""


def why_refused(quote: Quote, *, at: datetime) -> str | None:
    """Return the name of the first rule that a quote asked for at `at` breaks, None if it is sound."""
    if quote.currency is not None and quote.currency != CURRENCY:
        return "currency"
    if _is_future(quote.price_time, at):
        return "future"
    low, high = quote.days_low, quote.days_high
    if low is not None and high is not None:
        if not low <= high <= low * LARGEST_DAY_RANGE:
            return "day_range"
        if quote.current_price is not None and not _near(quote.current_price, low, high):
            return "price_outside_day"
    if not adds_up(quote.current_price, quote.price_change, quote.price_change_percent):
        return "change"
    return None


def why_past_refused(quote: Quote, *, last_close: float | None) -> str | None:
    """Return "past" if a quote's price is of another unit than the stored close that it calls its own previous one.

    Where the previous close is another as well, a split may be the reason, and only a chart can tell.
    """
    price, before = quote.current_price, quote.previous_close
    if price is None or before is None or last_close is None or not agree(before, last_close):
        return None
    return "past" if _ratio(price, last_close) > UNIT_JUMP else None


def why_tick_refused(tick: Tick, *, at: datetime) -> str | None:
    """Return the name of the first rule that a tick heard at `at` breaks, None if it is sound."""
    if _is_future(tick.price_time, at):
        return "future"
    return None if adds_up(tick.price, tick.change, tick.change_percent) else "change"


def mixed_up(odd: int, total: int) -> bool:
    """True if so many of an answer's rows contradict what is known that they may be each other's."""
    return odd >= 2 and odd > MOST_ODD * total


def agree(one: float, other: float) -> bool:
    """True if two prices told within minutes can be of one market."""
    return _ratio(one, other) <= AGREEMENT


def jumps(
    price: float,
    *,
    last: float | None,
    previous_close: float | None = None,
    day: tuple[float, float] | None = None,
) -> bool:
    """True if neither the last price, the previous close nor the day's low and high support `price`.

    Where nothing is known nothing can be said: False.
    """
    if day is not None and day[0] <= price <= day[1]:
        return False
    if last is None and previous_close is None:
        return False
    return (last is None or _ratio(price, last) > JUMP) and (
        previous_close is None or _ratio(price, previous_close) > JUMP
    )


def adds_up(price: float | None, change: float | None, percent: float | None) -> bool:
    """True if the three describe the same move, with room for the source's rounding, or one of them is not known."""
    if price is None or change is None or percent is None:
        return True
    before = price - change
    if before <= 0:
        return False
    expected = 100.0 * change / before
    return abs(expected - percent) <= 0.02 + 0.02 * abs(expected) + 1.0 / before


def _is_future(price_time: datetime | None, at: datetime) -> bool:
    return price_time is not None and price_time > at + FUTURE_TOLERANCE


def _ratio(one: float, other: float) -> float:
    return one / other if one > other else other / one


def _near(price: float, low: float, high: float) -> bool:
    return low / OUTSIDE_DAY_RANGE <= price <= high * OUTSIDE_DAY_RANGE
