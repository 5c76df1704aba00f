"""Values read from a market data source: a trade tick and a quote. Holds no parsing and no SQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import msgspec


class Tick(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One traded price from a stream. `change_percent` is percent (1.27 = 1.27 %); absent numbers are None.

    Made for each message: a tenth of the time of a frozen dataclass.
    """

    ticker: str
    price: float
    price_time: datetime
    change: float | None = None
    change_percent: float | None = None
    day_volume: int | None = None
    market_hours: int | None = None
    """0 pre-market, 1 regular, 2 post-market, 3 extended, 4 overnight; said by the source, not by our calendar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """One ticker's answer of a quote endpoint, in the units of `stocks_stock`; None = the source did not say.

    Prices in `currency`; `price_change_percent` percent; `dividend_yield` fraction; sizes and volumes in shares.
    """

    ticker: str
    company_name: str | None = None
    exchange: str | None = None
    quote_type: str | None = None
    currency: str | None = None
    market_state: str | None = None
    current_price: float | None = None
    price_change: float | None = None
    price_change_percent: float | None = None
    price_time: datetime | None = None
    pre_market_price: float | None = None
    post_market_price: float | None = None
    volume: int | None = None
    days_low: float | None = None
    days_high: float | None = None
    open_price: float | None = None
    previous_close: float | None = None
    bid_price: float | None = None
    ask_price: float | None = None
    bid_size: int | None = None
    ask_size: int | None = None
    week_52_low: float | None = None
    week_52_high: float | None = None
    avg_volume_3mon: int | None = None
    market_cap: float | None = None
    shares_outstanding: int | None = None
    pe_ratio: float | None = None
    forward_pe: float | None = None
    dividend_yield: float | None = None
    earnings_per_share: float | None = None
    book_value: float | None = None
    price_to_book: float | None = None
    next_earnings_date: date | None = None
