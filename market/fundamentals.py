"""What a fundamentals endpoint says of one company: the daily group of `stocks_stock`. Holds no parsing and no SQL."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Fundamentals:
    """One ticker's facts in the units of `stocks_stock`; None = the source did not say.

    Prices and dividends in the currency it trades in; revenue, earnings, cash and debt in `financial_currency`;
    margins, returns, growth, shares held and sold short as fractions; `debt_to_equity` a ratio; counts of shares.
    """

    ticker: str
    sector: str | None = None
    industry: str | None = None
    country: str | None = None
    employees: int | None = None
    beta: float | None = None
    one_year_target: float | None = None
    target_low: float | None = None
    target_high: float | None = None
    recommendation: str | None = None
    analyst_count: int | None = None
    dividend_rate: float | None = None
    ex_dividend_date: date | None = None
    payout_ratio: float | None = None
    financial_currency: str | None = None
    revenue_ttm: float | None = None
    revenue_growth: float | None = None
    earnings_growth: float | None = None
    ebitda: float | None = None
    profit_margin: float | None = None
    gross_margin: float | None = None
    operating_margin: float | None = None
    return_on_equity: float | None = None
    return_on_assets: float | None = None
    free_cash_flow: float | None = None
    operating_cash_flow: float | None = None
    total_cash: float | None = None
    total_debt: float | None = None
    debt_to_equity: float | None = None
    current_ratio: float | None = None
    float_shares: float | None = None
    shares_short: float | None = None
    short_percent_of_float: float | None = None
    held_by_insiders: float | None = None
    held_by_institutions: float | None = None
    last_split_date: date | None = None
    last_split_ratio: float | None = None
    """New shares for one old: 4.0 for 4:1, 0.1 for 1:10."""


FIELDS = tuple(field.name for field in fields(Fundamentals) if field.name != "ticker")


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """What the same answer says of numbers that another endpoint gives as well; only to be compared with it."""

    currency: str | None = None
    price: float | None = None
    price_time: datetime | None = None
    open: float | None = None
    high: float | None = None
    low: float | None = None
    volume: int | None = None
    previous_close: float | None = None
    dividend_yield: float | None = None
    """A fraction."""
    shares_outstanding: float | None = None
    """The larger one, where the source counts one class and all of them."""
    net_income: float | None = None
    module_margin: float | None = None
    """The profit margin, said a second time elsewhere in the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """One answer as read. `refused`: (field, rule) of what it says but `fundamentals` leaves out."""

    fundamentals: Fundamentals
    witness: Witness = Witness()
    refused: tuple[tuple[str, str], ...] = ()


def nothing_said(ticker: str) -> Decoded:
    """Return what an answer is worth that knows the ticker and holds no facts of it."""
    return Decoded(fundamentals=Fundamentals(ticker=ticker))
