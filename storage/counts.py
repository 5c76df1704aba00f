"""Counts over the whole table for people who watch it fill. Never writes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, func, select, true

from storage.schema import stocks_stock


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshCounts:
    """Listed tickers: all of them, and those whose price and whose metrics are newer than the moment asked for."""

    total: int
    priced: int
    with_metrics: int


def count_fresh(engine: Engine, *, since: datetime) -> FreshCounts:
    """Return how many listed tickers have a price, and metrics, confirmed at or after `since`."""
    columns = stocks_stock.c
    priced = func.count(columns.current_price).filter(columns.price_updated_at >= since)
    with_metrics = func.count().filter(columns.metrics_updated_at >= since)
    asked = select(func.count(), priced, with_metrics).select_from(stocks_stock).where(columns.is_listed == true())
    with engine.connect() as connection:
        total, prices, metrics = connection.execute(asked).one()
    return FreshCounts(total=total, priced=prices, with_metrics=metrics)
