"""Reads what others show: quotes with their ages, the origin. Never writes, never waits for a writer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, select

from storage.schema import app_meta, stocks_stock

GROUPS = ("price", "metrics", "daily")
VALUES_A_STATEMENT = 500  # an old SQLite takes at most 999 parameters


def read_quotes(engine: Engine, tickers: Sequence[str], *, at: datetime) -> tuple[list[dict[str, Any]], list[str]]:
    """Return (rows, unknown): each row every column of `stocks_stock` and the age of each group in seconds at `at`.

    Both in the order asked; an age is None where the group was never written.
    """
    asked = list(dict.fromkeys(tickers))
    found: dict[str, dict[str, Any]] = {}
    with engine.connect() as connection:
        for start in range(0, len(asked), VALUES_A_STATEMENT):
            wanted = select(stocks_stock).where(stocks_stock.c.ticker.in_(asked[start : start + VALUES_A_STATEMENT]))
            found |= {row["ticker"]: dict(row) | _ages(row, at) for row in connection.execute(wanted).mappings()}
    return [found[ticker] for ticker in asked if ticker in found], [ticker for ticker in asked if ticker not in found]


def _ages(row: Any, at: datetime) -> dict[str, float | None]:
    times = {group: row[f"{group}_updated_at"] for group in GROUPS}
    return {f"{group}_age_s": (at - time).total_seconds() if time else None for group, time in times.items()}


def read_origin(engine: Engine) -> str | None:
    """Return "live" or "practice"; None before the first write."""
    with engine.connect() as connection:
        return connection.execute(select(app_meta.c.value).where(app_meta.c.key == "origin")).scalar_one_or_none()
