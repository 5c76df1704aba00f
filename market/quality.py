"""Is a quote sound enough for the table? Says which rule refuses it; changes no number."""

from __future__ import annotations

from market.quotes import Quote

CURRENCY = "USD"
LARGEST_DAY_RANGE = 100.0
"""A day's high above this many times its low is a unit fault (cents for dollars) or a split half applied."""


def why_refused(quote: Quote) -> str | None:
    """Return the name of the first rule that the quote breaks, None if it is sound."""
    if quote.currency is not None and quote.currency != CURRENCY:
        return "currency"
    low, high = quote.days_low, quote.days_high
    if low is not None and high is not None and not low <= high <= low * LARGEST_DAY_RANGE:
        return "day_range"
    if None not in (quote.current_price, quote.price_change, quote.price_change_percent) and not _adds_up(quote):
        return "change"
    return None


def _adds_up(quote: Quote) -> bool:
    """True if price, change and percent describe the same move, with room for the source's rounding."""
    assert quote.current_price is not None
    assert quote.price_change is not None
    assert quote.price_change_percent is not None
    before = quote.current_price - quote.price_change
    if before <= 0:
        return False
    percent = 100.0 * quote.price_change / before
    return abs(percent - quote.price_change_percent) <= 0.02 + 0.02 * abs(percent) + 1.0 / before
