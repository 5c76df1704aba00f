"""Daily bars in bulk: 8,782 tickers of 390 sessions into each database, beside the driver's own way of doing it.

Raw SQLite is one transaction of executemany, raw PostgreSQL one COPY in text, both into the same table by its key. Ours
checks every bar, replaces what a ticker held, and lets other writers in between every 52 tickers. Of 3 rounds in turn.
"""

from __future__ import annotations

import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Engine, text

from core.clock import SystemClock
from storage import schema_version
from storage.bar_rows import read_all_bars, read_marks
from storage.engine import open_reader_engine
from storage.histories import DayRow, History, read_history, replace_histories
from storage.partitions import make_years
from storage.queries import query
from storage.writer import Writer
from tests.fix_storage import running_cluster

TICKERS, SESSIONS, ROUNDS = 8_782, 390, 3
AT_ONCE = 52
"""Tickers: what `replace_histories` puts into one transaction."""
FIRST = date(2025, 5, 1)
Chunk = Sequence[History]


def main() -> None:
    tickers = int(sys.argv[1]) if len(sys.argv) > 1 else TICKERS
    rows = _rows(random.Random(8_782))
    print(f"{tickers * SESSIONS:,} bars: {tickers:,} tickers, {SESSIONS} sessions")
    with tempfile.TemporaryDirectory(prefix="tickerd-bench-") as folder:
        _both("SQLite", _raw_sqlite, _url_of_sqlite(Path(folder)), tickers, rows)
    with running_cluster(fsync=True) as cluster:
        _both("PostgreSQL", _raw_postgresql, _fresh(cluster), tickers, rows)


def _fresh(cluster: Any) -> Callable[[str], str]:
    def url(name: str) -> str:
        cluster.administer(f"CREATE DATABASE {name} TEMPLATE template_tickerd")
        return str(cluster.url(name))

    return url


def _url_of_sqlite(folder: Path) -> Callable[[str], str]:
    def url(name: str) -> str:
        found = f"sqlite:///{folder / name}.db"
        schema_version.upgrade(found)
        return found

    return url


def _rows(dice: random.Random) -> list[list[DayRow]]:
    """Bars of a hundred tickers, in cents, that all others share."""
    days = [FIRST + timedelta(days=number) for number in range(SESSIONS)]
    return [[_bar(day, dice) for day in days] for _ in range(100)]


def _bar(day: date, dice: random.Random) -> DayRow:
    opened, close = round(dice.uniform(5, 300), 2), round(dice.uniform(5, 300), 2)
    high, low = max(opened, close) + 0.25, min(opened, close) - 0.25
    return day, opened, high, low, close, close * 0.987654321, dice.randrange(10_000_000)


def _chunks(tickers: int, rows: list[list[DayRow]]) -> Iterator[Chunk]:
    for start in range(0, tickers, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, tickers))
        yield [(f"T{number:05d}", rows[number % len(rows)]) for number in numbers]


def _both(
    name: str,
    raw: Callable[[str, Iterator[Chunk]], float],
    url_of: Callable[[str], str],
    tickers: int,
    rows: list[list[DayRow]],
) -> None:
    taken: dict[str, list[float]] = {"raw": [], "ours": []}
    for number in range(ROUNDS):
        taken["raw"].append(raw(url_of(f"raw{number}"), _chunks(tickers, rows)))
        ours = url_of(f"ours{number}")
        taken["ours"].append(_ours(ours, _chunks(tickers, rows)))
    best = {way: min(times) for way, times in taken.items()}
    said = {way: "/".join(f"{each:.1f}" for each in times) for way, times in taken.items()}
    print(
        f"{name}: raw {said['raw']} s, ours {said['ours']} s; best {best['ours']:.1f} / {best['raw']:.1f} = "
        f"{best['ours'] / best['raw']:.2f}x (asked: at most 2x)"
    )
    _reading(name, ours, tickers)


def _ours(url: str, chunks: Iterator[Chunk]) -> float:
    taken_s = longest_s = 0.0
    with Writer.open(url, service="bench", origin=None, clock=SystemClock()) as writer:
        for chunk in chunks:
            started_s = time.perf_counter()
            replace_histories(writer, chunk, keep_older=False)
            chunk_s = time.perf_counter() - started_s
            taken_s, longest_s = taken_s + chunk_s, max(longest_s, chunk_s)
    print(f"  the longest that another writer waits: {longest_s * 1000:.0f} ms")
    return taken_s


def _raw_sqlite(url: str, chunks: Iterator[Chunk]) -> float:
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    connection.execute("PRAGMA synchronous=NORMAL")
    insert, taken_s = query("insert_daily_bar", "sqlite"), 0.0
    connection.execute("BEGIN IMMEDIATE")
    for chunk in chunks:
        ready = [(ticker, row[0].isoformat(), *row[1:], "chart") for ticker, rows in chunk for row in rows]
        started_s = time.perf_counter()
        connection.executemany(insert, ready)
        taken_s += time.perf_counter() - started_s
    started_s = time.perf_counter()
    connection.execute("COMMIT")
    connection.close()
    return taken_s + time.perf_counter() - started_s


def _raw_postgresql(url: str, chunks: Iterator[Chunk]) -> float:
    taken_s = 0.0
    with Writer.open(url, service="bench", origin=None, clock=SystemClock()) as writer:
        writer.run(lambda tx: make_years(tx, (FIRST.year, FIRST.year + 1)), source="bench")
    with psycopg.connect(url.replace("+psycopg", "", 1)) as connection:
        with connection.cursor().copy("COPY stocks_daily_bar FROM STDIN") as copy:
            for chunk in chunks:
                ready = [(ticker, *row, "chart") for ticker, rows in chunk for row in rows]
                started_s = time.perf_counter()
                for row in ready:
                    copy.write_row(row)
                taken_s += time.perf_counter() - started_s
            started_s = time.perf_counter()
        connection.commit()
        return taken_s + time.perf_counter() - started_s


def _reading(name: str, url: str, tickers: int) -> None:
    """Say what the scan engine and the daily refresh wait for."""
    engine = open_reader_engine(url, service="bench")
    bars = _timed(lambda: sum(len(batch) for batch in read_all_bars(engine, since=date(1970, 1, 1))))
    marks = _timed(lambda: len(read_marks(engine)))
    one = _timed(lambda: [read_history(engine, f"T{number:05d}") for number in range(0, tickers, 100)])
    each_ms = 1000 * one / len(range(0, tickers, 100))
    print(f"  read: all bars {bars:.1f} s, marks {marks:.1f} s, one ticker's {each_ms:.2f} ms; {_size(engine)}")
    engine.dispose()


def _timed(work: Callable[[], Any]) -> float:
    started_s = time.perf_counter()
    work()
    return time.perf_counter() - started_s


def _size(engine: Engine) -> str:
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            pages = [connection.execute(text(f"PRAGMA {name}")).scalar_one() for name in ("page_count", "page_size")]
            return f"{pages[0] * pages[1] / 1e6:.0f} MB"
        size = "SELECT SUM(pg_total_relation_size(relid)) FROM pg_partition_tree('stocks_daily_bar')"
        return f"{connection.execute(text(size)).scalar_one() / 1_000_000:.0f} MB"


if __name__ == "__main__":
    main()
