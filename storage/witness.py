"""What the table holds that a new answer can be held against: numbers of this session, as quotes. Never writes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Engine, or_, select

from market.quotes import Quote
from storage.schema import stocks_stock

STREAM = "stream"


def read_known(engine: Engine, *, since: datetime) -> dict[str, Quote]:
    """Return ticker -> what is known of it since the open: from the stream, or an answer that was believed.

    The previous close is the stream's price less its change where the stream has spoken, else the answer's.
    """
    columns = stocks_stock.c
    wanted = select(
        columns.ticker,
        columns.current_price,
        columns.price_change,
        columns.price_time,
        columns.price_source,
        columns.previous_close,
        columns.open_price,
        columns.days_low,
        columns.days_high,
        columns.week_52_low,
        columns.week_52_high,
        columns.shares_outstanding,
        columns.volume,
        columns.avg_volume_3mon,
        columns.metrics_updated_at,
    ).where(or_(columns.metrics_updated_at >= since, columns.price_time >= since))
    with engine.connect() as connection:
        rows = connection.execute(wanted)  # one by one: all of them at once are ten megabytes
        return {row.ticker: quote for row in rows if (quote := _quote(row, since)) is not None}


def read_prices(engine: Engine, *, since: datetime) -> dict[str, float]:
    """Return ticker -> the price that was confirmed since then."""
    columns = stocks_stock.c
    wanted = select(columns.ticker, columns.current_price).where(
        columns.price_updated_at >= since, columns.current_price.is_not(None)
    )
    with engine.connect() as connection:
        return {ticker: price for ticker, price in connection.execute(wanted)}


def _quote(row: object, since: datetime) -> Quote | None:
    held = row._mapping  # type: ignore[attr-defined]  # a row of SQLAlchemy
    is_streamed = held["price_source"] == STREAM and held["price_time"] is not None and held["price_time"] >= since
    is_answered = held["metrics_updated_at"] is not None and held["metrics_updated_at"] >= since
    if not (is_streamed or is_answered):
        return None
    previous_close = held["previous_close"] if is_answered else None
    if is_streamed and held["price_change"] is not None:
        previous_close = held["current_price"] - held["price_change"]
    answered = (
        "open_price",
        "week_52_low",
        "week_52_high",
        "days_low",
        "days_high",
        "shares_outstanding",
        "volume",
        "avg_volume_3mon",
    )
    return Quote(
        ticker=held["ticker"],
        previous_close=previous_close,
        current_price=held["current_price"] if is_streamed else None,
        price_time=held["price_time"] if is_streamed else None,
        **{name: held[name] if is_answered else None for name in answered},
    )
