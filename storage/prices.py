"""Writes the price group, the hot path of every second. Never lets an older price replace a newer one.

Rules of a flush, in one transaction:
- one row a ticker (the newest price_time; among equals the last given), sorted by ticker;
- numbers that are not finite and prices not above zero are dropped and counted;
- a regular price is written if the table's price_time is not newer. The day's high and low take it in; where the
  row's price_time lies before this session's open they start again at this price;
- a row that says exactly what the table holds only moves price_updated_at (last confirmed) and last_updated;
- a pre- or post-market price goes to its own column and touches nothing else of the price group.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from storage.schema import parameter
from storage.universe import unknown_tickers
from storage.writer import Transaction, Writer

Kind = Literal["regular", "pre", "post"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRow:
    """One traded price in the stock's currency; `change_percent` percent. `heard_at`: None = at the flush."""

    ticker: str
    price_usd: float
    price_time: datetime
    change: float | None = None
    change_percent: float | None = None
    kind: Kind = "regular"
    heard_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlushResult:
    """What became of a flush, in rows; `seq` is the change_seq of the rows whose values changed."""

    written: int
    refused_stale: int
    refused_not_finite: int
    unknown_ticker: int
    seq: int
    committed_at: datetime


def flush_prices(
    writer: Writer, rows: Iterable[PriceRow], *, price_source: str, session_opens_at: datetime
) -> FlushResult:
    """Write the newest price of each ticker in one transaction; `session_opens_at`: of the session they belong to."""
    given = list(rows)
    sound = [row for row in given if _is_sound(row)]
    regular = _newest(row for row in sound if row.kind == "regular")
    extended = _newest(row for row in sound if row.kind != "regular")

    def body(tx: Transaction) -> FlushResult:
        written = _write_regular(tx, regular, price_source=price_source, session_opens_at=session_opens_at)
        tx.wrote(written)
        written += _write_extended(tx, extended)
        asked = len(regular) + len(extended)
        unknown = _count_unknown(tx, [*regular, *extended]) if written < asked else 0
        return FlushResult(
            written=written,
            refused_stale=asked - written - unknown,
            refused_not_finite=len(given) - len(sound),
            unknown_ticker=unknown,
            seq=tx.seq,
            committed_at=tx.now,
        )

    return writer.run(body, source="prices")


def confirm_prices(writer: Writer, tickers: Iterable[str], *, at: datetime) -> int:
    """Note that the prices of `tickers` were heard at `at` and had not changed; return how many rows that moved."""
    rows = [{"ticker": ticker, "at": at} for ticker in sorted(set(tickers))]
    return writer.run(lambda tx: tx.execute_many("confirm_price", rows), source="prices")


def _is_sound(row: PriceRow) -> bool:
    return (
        row.price_usd > 0
        and math.isfinite(row.price_usd)
        and (row.change is None or math.isfinite(row.change))
        and (row.change_percent is None or math.isfinite(row.change_percent))
    )


def _newest(rows: Iterable[PriceRow]) -> list[PriceRow]:
    newest: dict[tuple[str, Kind], PriceRow] = {}
    for row in rows:
        held = newest.get((row.ticker, row.kind))
        if held is None or row.price_time >= held.price_time:
            newest[row.ticker, row.kind] = row
    return [newest[key] for key in sorted(newest)]


def _write_regular(tx: Transaction, rows: Sequence[PriceRow], *, price_source: str, session_opens_at: datetime) -> int:
    if not rows:
        return 0
    shared = (price_source, parameter(session_opens_at, tx.dialect), tx.seq)
    now = parameter(tx.now, tx.dialect)
    values = [
        (
            row.price_usd,
            row.change,
            row.change_percent,
            parameter(row.price_time, tx.dialect),
            parameter(row.heard_at, tx.dialect) if row.heard_at else now,
            row.ticker,
            *shared,
        )
        for row in rows
    ]
    if tx.dialect == "sqlite":
        return tx.execute_prepared("flush_prices", values)
    return tx.execute("flush_prices", _as_arrays(values, shared)).rowcount


def _as_arrays(values: list[tuple[Any, ...]], shared: tuple[Any, ...]) -> dict[str, Any]:
    columns = zip(*values, strict=True)
    names = ("prices", "changes", "percents", "price_times", "heard_ats", "tickers")
    arrays = {name: list(column) for name, column in zip(names, columns, strict=False)}
    return arrays | dict(zip(("price_source", "session_opens_at", "seq"), shared, strict=True))


def _write_extended(tx: Transaction, rows: Sequence[PriceRow]) -> int:
    written = 0
    for kind, name in (("pre", "set_pre_market_price"), ("post", "set_post_market_price")):
        values = [{"price": row.price_usd, "ticker": row.ticker, "seq": tx.seq} for row in rows if row.kind == kind]
        written += tx.execute_many(name, values)
    tx.wrote(written)
    return written


def _count_unknown(tx: Transaction, rows: Sequence[PriceRow]) -> int:
    unknown = unknown_tickers(tx, [row.ticker for row in rows])
    return sum(row.ticker in unknown for row in rows)
