"""Replaces the bars of whole tickers, fast, and reads them back. Never leaves a ticker with half of a history."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Any

from sqlalchemy import Engine

from storage.daily_bars import BarResult, are_sound
from storage.engine import translate
from storage.partitions import make_years
from storage.queries import query
from storage.schema import stocks_daily_bar
from storage.values import is_words
from storage.writer import Transaction, Writer

DayRow = tuple[date, float, float, float, float, float | None, int | None]
"""(session date, open, high, low, close, adjusted close, volume); prices in currency, volume in shares."""
History = tuple[str, Sequence[DayRow]]

ROWS_A_TRANSACTION = 20_000
"""Fifty tickers of 400 sessions: 0.1 s, for which a price flush may wait."""
SOURCE = "chart"
COPY = f"COPY {stocks_daily_bar.name} FROM STDIN (FORMAT BINARY)"
TYPES = ("text", "date", *["float8"] * 5, "int8", "text")


def replace_history(writer: Writer, ticker: str, rows: Sequence[DayRow], *, keep_older: bool) -> BarResult:
    """Let `rows` be the ticker's bars from the oldest to the newest of them, in one transaction.

    Newer bars stay, older ones only if `keep_older`: where the past was rewritten, by a split say, they are of another
    share. Of two rows of one session the last counts; without a sound row nothing is changed.
    """
    return replace_histories(writer, [(ticker, rows)], keep_older=keep_older)


def replace_histories(writer: Writer, histories: Iterable[History], *, keep_older: bool) -> BarResult:
    """Do the same for many tickers, a few in each transaction, each ticker whole."""
    written = refused = 0
    for group, wrong in _groups(histories):
        written += _replace(writer, group, keep_older=keep_older)
        refused += wrong
    return BarResult(written=written, refused=refused)


def _groups(histories: Iterable[History]) -> Iterator[tuple[dict[str, list[DayRow]], int]]:
    """Give the sound rows by ticker, and how many were not, as much as fits a transaction."""
    group: dict[str, list[DayRow]] = {}
    held = wrong = 0
    for ticker, rows in histories:
        sound = [row for row in rows if are_sound(*row[1:])] if is_words(ticker) else []
        wrong += len(rows) - len(sound)
        if sound:
            group[ticker] = list({row[0]: row for row in sound}.values())
            held += len(sound)
        if held >= ROWS_A_TRANSACTION:
            yield group, wrong
            group, held, wrong = {}, 0, 0
    yield group, wrong


def _replace(writer: Writer, group: dict[str, list[DayRow]], *, keep_older: bool) -> int:
    days = {ticker: [row[0] for row in rows] for ticker, rows in group.items()}
    spans = [
        {"ticker": ticker, "oldest": min(each) if keep_older else date.min, "newest": max(each)}
        for ticker, each in days.items()
    ]

    def body(tx: Transaction) -> int:
        tx.execute_many("forget_daily_bars", spans)
        written = _copy(tx, group) if tx.dialect == "postgresql" else _insert(tx, group)
        tx.wrote(written)
        return written

    return writer.run(body, source="daily_bars") if group else 0


def _insert(tx: Transaction, group: dict[str, list[DayRow]]) -> int:
    texts = {day: day.isoformat() for day in {row[0] for rows in group.values() for row in rows}}
    values = (
        (ticker, texts[day], opened, high, low, close, adjusted, volume, SOURCE)
        for ticker, rows in group.items()
        for day, opened, high, low, close, adjusted, volume in rows
    )
    return tx.execute_prepared("insert_daily_bar", values)


def _copy(tx: Transaction, group: dict[str, list[DayRow]]) -> int:
    """Send the rows as COPY takes them: half the time of an INSERT."""
    make_years(tx, {row[0].year for rows in group.values() for row in rows})
    driver: Any = tx.connection.connection.driver_connection
    try:
        with driver.cursor() as cursor:
            with cursor.copy(COPY) as copy:
                copy.set_types(TYPES)
                for ticker, rows in group.items():
                    for row in rows:
                        copy.write_row((ticker, *row, SOURCE))
            return int(cursor.rowcount)
    except Exception as error:
        raise translate(error, str(tx.connection.engine.url)) or error from error


def read_history(engine: Engine, ticker: str) -> list[DayRow]:
    """Return the ticker's bars, oldest first."""
    return read_histories(engine, [ticker])[ticker]


def read_histories(engine: Engine, tickers: Iterable[str]) -> dict[str, list[DayRow]]:
    """Return ticker -> its bars, oldest first."""
    wanted = query("history_of", engine.dialect.name)
    found: dict[str, list[DayRow]] = {}
    with engine.connect() as connection:
        for ticker in tickers:
            rows = connection.exec_driver_sql(wanted, {"ticker": ticker})
            found[ticker] = [(_day(day), *values) for day, *values in rows]
    return found


def read_spans(engine: Engine) -> dict[str, tuple[int, date, date]]:
    """Return ticker -> (bars, oldest session, newest session) of each that has bars."""
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(query("daily_bar_spans", engine.dialect.name)).all()
    return {ticker: (count, _day(oldest), _day(newest)) for ticker, count, oldest, newest in rows}


def _day(value: date | str) -> date:
    return date.fromisoformat(value) if isinstance(value, str) else value
