"""Writes the price group, the hot path of every second. Never lets an older price replace a newer one.

Rules of a flush, in one transaction:
- one row a ticker (the newest price_time; among equals the last given), sorted by ticker;
- numbers that are not finite, prices not above zero, values of a wrong type and times in the future are dropped and
  counted;
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
from itertools import chain, repeat
from operator import attrgetter
from types import NoneType
from typing import Any, Literal, NamedTuple, Self, get_args

import msgspec

from storage.schema import parameter
from storage.universe import unknown_tickers
from storage.values import FUTURE_TOLERANCE, is_moment, is_number, is_words, times_as_parameters
from storage.writer import Transaction, Writer

Kind = Literal["regular", "pre", "post"]
KINDS: tuple[Kind, ...] = get_args(Kind)
ZONE = attrgetter("tzinfo")


class PriceRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One traded price in the stock's currency; `change_percent` percent. `heard_at`: None = at the flush.

    Made for each message: a tenth of the time of a frozen dataclass.
    """

    ticker: str
    price_usd: float
    price_time: datetime
    change: float | None = None
    change_percent: float | None = None
    kind: Kind = "regular"
    heard_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlushResult:
    """What became of a flush, in rows; `seq` is the change_seq of the rows whose values changed.

    `refused_not_finite`: a number, time, ticker or kind in it cannot be.
    """

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
    # All but the statement itself happens before the transaction, for whose end the other writers wait.
    given = list(rows)
    regular, extended, refused = _chosen(given, latest=writer.clock.utc_now() + FUTURE_TOLERANCE)
    asked = len(regular.tickers) + len(extended)
    values = regular.for_driver(writer.dialect)
    opens_at = parameter(session_opens_at, writer.dialect)

    def body(tx: Transaction) -> FlushResult:
        written = _write_regular(tx, values, price_source=price_source, opens_at=opens_at) if regular.tickers else 0
        tx.wrote(written)
        written += _write_extended(tx, extended)
        unknown = 0
        if written < asked:
            unknown = _count_unknown(tx, [*regular.tickers, *(row.ticker for row in extended)])
        return FlushResult(
            written=written,
            refused_stale=asked - written - unknown,
            refused_not_finite=refused,
            unknown_ticker=unknown,
            seq=tx.seq,
            committed_at=tx.now,
        )

    return writer.run(body, source="prices")


def confirm_prices(writer: Writer, tickers: Iterable[str], *, at: datetime) -> int:
    """Note that the prices of `tickers` were heard at `at` and had not changed; return how many rows that moved."""
    rows = [{"ticker": ticker, "at": at} for ticker in sorted(set(tickers))]
    return writer.run(lambda tx: tx.execute_many("confirm_price", rows), source="prices")


class _Columns(NamedTuple):
    """Regular rows by column, one a ticker, sorted: thousands of rows are checked and converted three times as fast."""

    prices: list[float]
    changes: list[float | None]
    percents: list[float | None]
    price_times: list[datetime]
    heard_ats: list[datetime | None]
    tickers: list[str]

    @classmethod
    def of(cls, rows: Sequence[PriceRow]) -> Self:
        return cls(
            [row.price_usd for row in rows],
            [row.change for row in rows],
            [row.change_percent for row in rows],
            [row.price_time for row in rows],
            [row.heard_at for row in rows],
            [row.ticker for row in rows],
        )

    def are_plain(self) -> bool:
        """Whether no row is odd, as in all but a few flushes. A sum is finite only if each number is."""
        return (
            set(map(type, self.prices)) <= {float}
            and set(map(type, self.changes)) | set(map(type, self.percents)) <= {float, NoneType}
            and set(map(type, self.price_times)) <= {datetime}
            and set(map(type, self.heard_ats)) <= {datetime, NoneType}
            and math.isfinite(sum(self.prices))
            and math.isfinite(sum(filter(None, self.changes)))
            and math.isfinite(sum(filter(None, self.percents)))
            and min(self.prices, default=1.0) > 0
            and None not in set(map(ZONE, chain(self.price_times, filter(None, self.heard_ats))))
            and "".join(self.tickers).isprintable()
        )

    def for_driver(self, dialect: str) -> tuple[list[Any], ...]:
        """Return prices, changes, percents, price times, times heard (None = at the flush) and tickers."""
        times = (times_as_parameters(each, dialect) for each in (self.price_times, self.heard_ats))
        return self.prices, self.changes, self.percents, *times, self.tickers


def _chosen(given: list[PriceRow], *, latest: datetime) -> tuple[_Columns, list[PriceRow], int]:
    """Return the regular and the extended rows to write, and how many rows cannot be."""
    tickers = [row.ticker for row in given]
    by_ticker = dict(zip(tickers, given, strict=True)) if set(map(type, tickers)) <= {str} else {}
    if len(by_ticker) == len(given) and {row.kind for row in given} <= {"regular"}:
        columns = _Columns.of([by_ticker[ticker] for ticker in sorted(by_ticker)])
        if columns.are_plain() and max(columns.price_times, default=latest) <= latest:
            return columns, [], 0
    sound = [_in_doubles(row) for row in given if _is_sound(row, latest)]
    newest: dict[str, dict[str, PriceRow]] = {kind: {} for kind in KINDS}
    for row in sound:
        of_kind = newest[row.kind]
        held = of_kind.get(row.ticker)
        if held is None or row.price_time >= held.price_time:
            of_kind[row.ticker] = row
    regular, pre, post = ([newest[kind][ticker] for ticker in sorted(newest[kind])] for kind in KINDS)
    return _Columns.of(regular), [*pre, *post], len(given) - len(sound)


def _is_sound(row: PriceRow, latest: datetime) -> bool:
    change, percent = row.change, row.change_percent
    return (
        is_number(row.price_usd)
        and row.price_usd > 0
        and (change is None or is_number(change))
        and (percent is None or is_number(percent))
        and is_moment(row.price_time)
        and row.price_time <= latest
        and (row.heard_at is None or is_moment(row.heard_at))
        and is_words(row.ticker)
        and row.kind in KINDS
    )


def _in_doubles(row: PriceRow) -> PriceRow:
    """Return the row without whole numbers: an array for PostgreSQL is of one type."""
    change, percent = row.change, row.change_percent
    return msgspec.structs.replace(
        row,
        price_usd=float(row.price_usd),
        change=None if change is None else float(change),
        change_percent=None if percent is None else float(percent),
    )


def _write_regular(tx: Transaction, values: tuple[list[Any], ...], *, price_source: str, opens_at: Any) -> int:
    prices, changes, percents, price_times, heard, tickers = values
    now = parameter(tx.now, tx.dialect)
    heard_ats = [time or now for time in heard] if any(heard) else [now] * len(tickers)
    if tx.dialect == "sqlite":
        shared = map(repeat, (price_source, opens_at, tx.seq))
        rows = zip(prices, changes, percents, price_times, heard_ats, tickers, *shared, strict=False)
        return tx.execute_prepared("flush_prices", rows)
    arrays = {
        "prices": prices,
        "changes": changes,
        "percents": percents,
        "price_times": price_times,
        "heard_ats": heard_ats,
        "tickers": tickers,
    }
    shared_values = {"price_source": price_source, "session_opens_at": opens_at, "seq": tx.seq}
    return tx.execute("flush_prices", arrays | shared_values).rowcount


def _write_extended(tx: Transaction, rows: Sequence[PriceRow]) -> int:
    written = 0
    for kind, name in (("pre", "set_pre_market_price"), ("post", "set_post_market_price")):
        values = [{"price": row.price_usd, "ticker": row.ticker, "seq": tx.seq} for row in rows if row.kind == kind]
        written += tx.execute_many(name, values)
    tx.wrote(written)
    return written


def _count_unknown(tx: Transaction, tickers: Sequence[str]) -> int:
    unknown = unknown_tickers(tx, tickers)
    return sum(ticker in unknown for ticker in tickers)
