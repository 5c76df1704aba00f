"""Are a company's facts sound enough for the table? Each rule refuses a field and has a name; none changes a number.

Faults that were met in recorded answers: margins of 0 where revenue is not known, a float counted in ordinary shares
beside shares outstanding counted in ADRs, targets in pounds beside prices in pence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from market.fundamentals import FIELDS, Fundamentals, Witness

UNIT_FACTOR = 50.0
"""Two of the same quantity further apart than this are of different units: cents and dollars, percent and fraction."""
SAME_QUANTITY = 20.0
"""As the quote endpoint's dividend yield is held against its rate."""
ALL_CLASSES = 1.05
"""Shares in free float exceed shares outstanding by no more than the days between two counts."""
EARLIEST = date(1950, 1, 1)
AHEAD = timedelta(days=730)
SPLIT_IS_NEW = timedelta(days=120)
"""So long after a split numbers of a share may come from before and after it."""
LARGEST_AMOUNT = 1e17
"""In the cheapest currencies the largest companies turn over 1e15."""

RANGES: Mapping[str, tuple[float, float]] = {
    "employees": (1, 10_000_000),
    "beta": (-30.0, 30.0),
    "one_year_target": (1e-6, 1e7),
    "target_low": (1e-6, 1e7),
    "target_high": (1e-6, 1e7),
    "analyst_count": (0, 500),
    "dividend_rate": (0.0, 1e6),
    "payout_ratio": (0.0, 1000.0),
    "revenue_growth": (-1.0, 1e6),
    "earnings_growth": (-1e6, 1e6),
    "profit_margin": (-1e6, 1e4),
    "gross_margin": (-1e6, 1.0),
    "operating_margin": (-1e6, 1e4),
    "return_on_equity": (-1e4, 1e4),
    "return_on_assets": (-1e4, 1e3),
    "total_cash": (0.0, LARGEST_AMOUNT),
    "total_debt": (0.0, LARGEST_AMOUNT),
    "debt_to_equity": (0.0, 1e6),
    "current_ratio": (0.0, 1e6),
    "float_shares": (1.0, 1e13),
    "shares_short": (0.0, 1e13),
    "short_percent_of_float": (0.0, 10.0),
    "held_by_insiders": (0.0, 2.0),
    "held_by_institutions": (0.0, 10.0),
    "last_split_ratio": (1e-5, 1e5),
}
"""What can be, not what is likely: institutions hold more than all shares where many are lent."""
AMOUNTS = ("revenue_ttm", "ebitda", "free_cash_flow", "operating_cash_flow")
DATES = ("ex_dividend_date", "last_split_date")
TARGETS = ("one_year_target", "target_low", "target_high")
MARGINS = ("profit_margin", "gross_margin", "operating_margin")
PER_SHARE = (*TARGETS, "dividend_rate", "float_shares", "shares_short")
COMPARED_WITH_PAST = (*PER_SHARE, "employees", "revenue_ttm", "total_cash", "total_debt")
"""Quantities that no ordinary night changes fifty-fold."""

Found = Iterator[tuple[str, str]]


def refusals(facts: Fundamentals, witness: Witness, *, today: date) -> list[tuple[str, str]]:
    """Return (field, rule) of each field that what the answer itself says shows to be wrong."""
    found: dict[str, str] = {}
    for check in (_out_of_range, _wrong_dates, _wrong_targets, _wrong_dividend, _wrong_margins, _wrong_shares):
        for name, rule in check(facts, witness, today):
            found.setdefault(name, rule)
    return list(found.items())


def past_refusals(facts: Fundamentals, held: Mapping[str, Any], *, today: date) -> list[tuple[str, str]]:
    """Return (field, rule) of each field that differs from what the table holds by more than any night explains."""
    split = facts.last_split_date
    after_split = split is not None and today - SPLIT_IS_NEW <= split <= today
    return [
        (name, "past")
        for name in COMPARED_WITH_PAST
        if not (after_split and name in PER_SHARE) and _apart(getattr(facts, name), held.get(name), UNIT_FACTOR)
    ]


def without(facts: Fundamentals, names: set[str]) -> Fundamentals:
    """Return `facts` with these fields as not said."""
    kept = {name: getattr(facts, name) for name in FIELDS if name not in names}
    return Fundamentals(ticker=facts.ticker, **kept)


def _out_of_range(facts: Fundamentals, _witness: Witness, _today: date) -> Found:
    for name, (low, high) in RANGES.items():
        value = getattr(facts, name)
        if value is not None and not low <= value <= high:
            yield name, "range"
    for name in AMOUNTS:
        value = getattr(facts, name)
        if value is not None and not abs(value) <= LARGEST_AMOUNT:
            yield name, "range"


def _wrong_dates(facts: Fundamentals, _witness: Witness, today: date) -> Found:
    for name in DATES:
        value = getattr(facts, name)
        if value is not None and not EARLIEST <= value <= today + AHEAD:
            yield name, "range"


def _wrong_targets(facts: Fundamentals, witness: Witness, _today: date) -> Found:
    for name in TARGETS:
        if _apart(getattr(facts, name), witness.price, UNIT_FACTOR):
            yield name, "unit"
    low, high = facts.target_low, facts.target_high
    if low is not None and high is not None and low > high:
        yield from ((name, "order") for name in ("target_low", "target_high"))


def _wrong_dividend(facts: Fundamentals, witness: Witness, _today: date) -> Found:
    rate, price, told = facts.dividend_rate, witness.price or witness.previous_close, witness.dividend_yield
    if rate and price and told and _apart(rate / price, told, SAME_QUANTITY):
        yield "dividend_rate", "unit"


def _wrong_margins(facts: Fundamentals, witness: Witness, _today: date) -> Found:
    if not facts.revenue_ttm:
        # Margins of what is not known come as 0.
        yield from ((name, "no_revenue") for name in MARGINS if getattr(facts, name) == 0)
        return
    margin = facts.profit_margin
    if margin is not None and witness.net_income is not None:
        own = witness.net_income / facts.revenue_ttm
        if min(abs(own), abs(margin)) > 1e-4 and _apart(abs(margin), abs(own), UNIT_FACTOR):
            yield "profit_margin", "unit"
    if (
        margin is not None
        and witness.module_margin is not None
        and _apart(abs(margin), abs(witness.module_margin), 2.0)
    ):
        yield "profit_margin", "other_module"


def _wrong_shares(facts: Fundamentals, witness: Witness, _today: date) -> Found:
    outstanding = witness.shares_outstanding
    if not outstanding:
        return
    if facts.float_shares is not None and facts.float_shares > outstanding * ALL_CLASSES:
        yield "float_shares", "unit"  # an ADR's float comes in the ordinary shares behind it


def _apart(one: float | None, other: float | None, factor: float) -> bool:
    """True if both are known, positive and more than `factor` apart."""
    if not one or not other or one < 0 or other < 0:
        return False
    return not 1 / factor <= one / other <= factor


Check = Callable[[Fundamentals, Witness, date], Found]
