"""Ways to write one flush of prices, ours and what others would do. Each is timed from rows ready to committed."""

from __future__ import annotations

import functools
import random
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import django  # type: ignore[import-untyped]  # ships no types
import psycopg
from django.conf import settings as django_settings  # type: ignore[import-untyped]
from sqlalchemy import Boolean, create_engine, select, update
from sqlalchemy.orm import Session, registry

from core.clock import SystemClock
from storage.engine import file_of
from storage.prices import PriceRow, flush_prices
from storage.queries import query
from storage.schema import LARGEST_WHOLE, UtcTime, parameter, stocks_stock
from storage.writer import Writer

CLOCK = SystemClock()
OPENS_AT = datetime(2000, 1, 3, 14, 30, tzinfo=UTC)  # long past: a flush refuses times ahead of the clock
Timed = Callable[[list[PriceRow]], float]
"""Writes the rows; returns how many milliseconds that took."""


@dataclass(frozen=True, slots=True)
class Method:
    """`rows`: how many are written of each batch; a way that takes seconds gets fewer, and its time is scaled up."""

    name: str
    timed: Timed
    rows: int | None = None


def a_batch(tickers: Sequence[str], number: int) -> list[PriceRow]:
    """Return what one second of the stream would be: every ticker; times lie on whole seconds, as the feed's do."""
    times = [OPENS_AT + timedelta(seconds=3 * number - late) for late in range(3)]
    return [
        PriceRow(
            ticker=ticker,
            price_usd=random.uniform(1, 500),
            price_time=random.choice(times),
            change=0.5,
            change_percent=0.5,
        )
        for ticker in random.sample(tickers, len(tickers))
    ]


def in_ms(action: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    action()
    return (time.perf_counter() - started_s) * 1000


def ours(url: str) -> Timed:
    writer = Writer.open(url, service="bench", origin="practice", clock=CLOCK)

    def timed(rows: list[PriceRow]) -> float:
        results = []
        flush = functools.partial(flush_prices, writer, rows, price_source="bench", session_opens_at=OPENS_AT)
        taken_ms = in_ms(lambda: results.append(flush()))
        assert results[0].written == len(rows)
        return taken_ms

    return timed


def _values(rows: list[PriceRow], dialect: str) -> list[tuple[Any, ...]]:
    now, opens_at = parameter(CLOCK.utc_now(), dialect), parameter(OPENS_AT, dialect)
    return [
        (
            row.price_usd,
            row.change,
            row.change_percent,
            parameter(row.price_time, dialect),
            now,
            row.ticker,
            "bench",
            opens_at,
            row.price_time.timestamp() // 1,
        )
        for row in sorted(rows, key=lambda row: row.ticker)
    ]


def bare_sqlite(url: str) -> Timed:
    connection = sqlite3.connect(file_of(url) or "", isolation_level=None)
    connection.execute("PRAGMA synchronous=NORMAL")
    statement = query("flush_prices", "sqlite")

    def write(values: list[tuple[Any, ...]]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        assert connection.executemany(statement, values).rowcount == len(values)
        connection.execute("COMMIT")

    def timed(rows: list[PriceRow]) -> float:
        values = _values(rows, "sqlite")
        return in_ms(lambda: write(values))

    return timed


def bare_postgresql(url: str) -> Timed:
    connection = psycopg.connect(url.replace("+psycopg", ""))
    statement = query("flush_prices", "postgresql").replace(")b::", ")s::")
    names = ("prices", "changes", "percents", "price_times", "heard_ats", "tickers")

    def write(arrays: dict[str, Any]) -> None:
        assert connection.execute(statement.encode(), arrays).rowcount == len(arrays["tickers"])
        connection.commit()

    def timed(rows: list[PriceRow]) -> float:
        columns = [list(column) for column in zip(*_values(rows, "postgresql"), strict=True)]
        arrays = dict(zip(names, columns, strict=False))
        shared = {"price_source": "bench", "session_opens_at": OPENS_AT, "seq": int(columns[-1][0]) % LARGEST_WHOLE}
        return in_ms(lambda: write(arrays | shared))

    return timed


class Stock:
    """A row as an ORM sees it."""


registry().map_imperatively(Stock, stocks_stock)


def orm_per_row(url: str) -> Timed:
    engine = create_engine(url)

    def write(rows: list[PriceRow]) -> None:
        with Session(engine) as session:
            for row in rows:
                stock: Any = session.execute(select(Stock).where(stocks_stock.c.ticker == row.ticker)).scalar_one()
                stock.current_price, stock.price_change = row.price_usd, row.change
                stock.price_change_percent, stock.price_time = row.change_percent, row.price_time
                stock.last_updated = CLOCK.utc_now()
                session.commit()

    return lambda rows: in_ms(lambda: write(rows))


def orm_bulk(url: str) -> Timed:
    engine = create_engine(url)
    with Session(engine) as session:
        ids = {ticker: id_ for id_, ticker in session.execute(select(stocks_stock.c.id, stocks_stock.c.ticker))}

    def write(rows: list[PriceRow]) -> None:
        now = CLOCK.utc_now()
        values = [
            {
                "id": ids[row.ticker],
                "current_price": row.price_usd,
                "price_change": row.change,
                "price_change_percent": row.change_percent,
                "price_time": row.price_time,
                "last_updated": now,
            }
            for row in rows
        ]
        with Session(engine) as session:
            session.execute(update(Stock), values)
            session.commit()

    return lambda rows: in_ms(lambda: write(rows))


def set_up_django(**urls: str) -> None:
    """Give Django the databases by alias; it can be set up only once in a process."""
    databases = {alias: _django_database(url) for alias, url in urls.items()}
    default = {"default": next(iter(databases.values()))}
    django_settings.configure(
        DATABASES=default | databases, USE_TZ=True, DEFAULT_AUTO_FIELD="django.db.models.AutoField"
    )
    django.setup()


def _django_database(url: str) -> dict[str, Any]:
    file = file_of(url)
    if file is not None:
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(file)}
    parts = urlsplit(url)
    host = parse_qs(parts.query)["host"][0]
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.strip("/"),
        "USER": parts.username,
        "HOST": host,
    }


@functools.cache
def _django_model() -> Any:
    from django.db import models  # type: ignore[import-untyped]

    def field(kind: type) -> Any:
        if kind is Boolean:
            return models.BooleanField()
        if kind is UtcTime:
            return models.DateTimeField(null=True)
        whole = {"BigInteger": models.BigIntegerField, "Text": models.TextField, "Date": models.DateField}
        return whole.get(kind.__name__, models.FloatField)(null=True)

    fields = {column.name: field(type(column.type)) for column in stocks_stock.columns if column.name != "id"}
    meta = type("Meta", (), {"db_table": stocks_stock.name, "managed": False, "app_label": "bench"})
    keys = {"id": models.BigAutoField(primary_key=True), "Meta": meta, "__module__": __name__}
    return type("DjangoStock", (models.Model,), fields | keys)


def django_per_row(alias: str) -> Timed:
    model = _django_model()

    def write(rows: list[PriceRow]) -> None:
        for row in rows:
            stock = model.objects.using(alias).get(ticker=row.ticker)
            stock.current_price, stock.price_change = row.price_usd, row.change
            stock.price_change_percent, stock.price_time = row.change_percent, row.price_time
            stock.last_updated = CLOCK.utc_now()
            stock.save(using=alias)

    return lambda rows: in_ms(lambda: write(rows))
