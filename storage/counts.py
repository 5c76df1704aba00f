"""What the table holds now, for those who fill it or watch it fill. Never writes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, func, select, true

from storage.schema import stocks_stock
from storage.writer import Transaction


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


def read_price_times(tx: Transaction, tickers: Collection[str]) -> dict[str, datetime | None]:
    """Return the price_time that the table holds of each of `tickers` that it knows."""
    columns, wanted = stocks_stock.c, set(tickers)
    found = tx.connection.execute(select(columns.ticker, columns.price_time)).all()
    return {ticker: price_time for ticker, price_time in found if ticker in wanted}


def read_confirmed(tx: Transaction, tickers: Collection[str], *, at: datetime) -> set[str]:
    """Return those of `tickers` whose metrics group was written at `at`."""
    columns = stocks_stock.c
    found = tx.connection.execute(select(columns.ticker).where(columns.metrics_updated_at == at)).scalars()
    return set(found) & set(tickers)
