"""Writes daily bars. Never keeps one that contradicts itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import date
from math import inf
from typing import Any

from storage.partitions import make_years
from storage.schema import LARGEST_WHOLE, stocks_daily_bar
from storage.values import holds
from storage.writer import Transaction, Writer

ROWS_A_TRANSACTION = 1000  # so that a back-fill never keeps the price flush waiting for long


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyBar:
    """One session of one ticker; prices in its currency, `volume` in shares, None = not known."""

    ticker: str
    session_date: date
    open: float
    high: float
    low: float
    close: float
    adj_close: float | None
    volume: int | None
    source: str


COLUMNS = tuple(field.name for field in fields(DailyBar))


@dataclass(frozen=True, slots=True, kw_only=True)
class BarResult:
    """In bars; `refused`: not finite, not positive, of a wrong type, or high and low that do not hold the others."""

    written: int
    refused: int


def write_daily_bars(writer: Writer, bars: Iterable[DailyBar]) -> BarResult:
    """Insert or replace bars by (ticker, session_date); of two given for one key the last counts."""
    given = list(bars)
    sound = [bar for bar in given if is_sound(bar)]
    last = {(bar.ticker, bar.session_date): bar for bar in sound}
    rows = [_values(last[key]) for key in sorted(last)]
    written = 0
    for start in range(0, len(rows), ROWS_A_TRANSACTION):
        written += _write(writer, rows[start : start + ROWS_A_TRANSACTION])
    return BarResult(written=written, refused=len(given) - len(sound))


def _write(writer: Writer, rows: list[dict[str, Any]]) -> int:
    def body(tx: Transaction) -> int:
        make_years(tx, {row["session_date"].year for row in rows})
        written = tx.execute_many("put_daily_bar", rows)
        tx.wrote(written)
        return written

    return writer.run(body, source="daily_bars")


def _values(bar: DailyBar) -> dict[str, Any]:
    return {name: getattr(bar, name) for name in COLUMNS}


def is_sound(bar: DailyBar) -> bool:
    """Whether the table takes it."""
    held = all(holds(stocks_daily_bar, name, value) for name, value in _values(bar).items())
    named = None not in (bar.ticker, bar.session_date, bar.source)
    return held and named and are_sound(bar.open, bar.high, bar.low, bar.close, bar.adj_close, bar.volume)


def are_sound(opened: float, high: float, low: float, close: float, adjusted: float | None, volume: int | None) -> bool:
    """Whether the numbers of one bar can be those of one session; a comparison with NaN is False."""
    try:
        return (
            0.0 < low <= opened <= high < inf
            and low <= close <= high
            and (adjusted is None or 0.0 < adjusted < inf)
            and (volume is None or (type(volume) is int and 0 <= volume <= LARGEST_WHOLE))
        )
    except TypeError:
        return False
