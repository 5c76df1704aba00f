"""Whether the table is right: each row's price against the practice market's own book. Writes nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime

from tests.chaos.stage import Stage

LAG_S = 6.0  # a trade is a second old when it is sent, and a flush may wait for two others
QUERY = "SELECT ticker, current_price, price_time FROM stocks_stock WHERE is_listed"


def wrong_prices(stage: Stage) -> list[str]:
    """Return each listed ticker without a price, or with one that it did not have at that time, or no longer has."""
    with closing(sqlite3.connect(f"file:{stage.database}?mode=ro", uri=True)) as database:
        rows = database.execute(QUERY).fetchall()
    whole = [row for row in rows if None not in row]
    table = {ticker: (price, datetime.fromisoformat(at).replace(tzinfo=UTC)) for ticker, price, at in whole}
    missing = [f"{ticker}: has no price" for ticker, *_ in rows if ticker not in table]
    return (missing if rows else ["all: the table is empty"]) + [
        f"{each.ticker}: {each}" for each in stage.market.check(table, lag_s=LAG_S)
    ]
