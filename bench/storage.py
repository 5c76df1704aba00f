"""Compares a price flush with the same guarded UPDATE in bare sqlite3, in one run. Run: `python -m bench.storage`."""

from __future__ import annotations

import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from core import logs
from core.clock import SystemClock
from market.universe import FIXED_8782, Listing
from storage import schema_version
from storage.prices import PriceRow, flush_prices
from storage.universe import load_universe
from storage.writer import Writer

ROUNDS = 15
SIZES = (100, 2_000, 8_782)
BARE = (
    "UPDATE stocks_stock SET current_price=?, price_change=?, price_change_percent=?, last_updated=?, price_time=? "
    "WHERE ticker=? AND (price_time IS NULL OR price_time<=?)"
)
CLOCK = SystemClock()


def prepared(folder: Path, tickers: list[str]) -> str:
    url = f"sqlite:///{folder}/bench.db"
    schema_version.upgrade(url)
    with Writer.open(url, service="bench", origin="practice", clock=CLOCK) as writer:
        load_universe(writer, [Listing(ticker=ticker) for ticker in tickers])
    return url


Flush = Callable[[list[PriceRow]], None]


def flusher(url: str) -> Flush:
    writer = Writer.open(url, service="bench", origin="practice", clock=CLOCK)
    opens_at = CLOCK.utc_now() - timedelta(hours=1)

    def flush(rows: list[PriceRow]) -> None:
        result = flush_prices(writer, rows, price_source="bench", session_opens_at=opens_at)
        assert result.written == len(rows)

    return flush


def bare_flusher(url: str) -> Flush:
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    connection.execute("PRAGMA synchronous=NORMAL")

    def flush(rows: list[PriceRow]) -> None:
        now = CLOCK.utc_now().replace(tzinfo=None).isoformat(" ", "microseconds")
        values = [
            (row.price_usd, row.change, row.change_percent, now, now, row.ticker, now)
            for row in sorted(rows, key=lambda row: row.ticker)
        ]
        connection.execute("BEGIN IMMEDIATE")
        assert connection.executemany(BARE, values).rowcount == len(rows)
        connection.execute("COMMIT")

    return flush


def measure(flush: Flush, rows: list[PriceRow]) -> tuple[float, float]:
    """Return (wall, CPU) in milliseconds."""
    started_s, cpu_s = time.perf_counter(), time.process_time()
    flush(rows)
    return (time.perf_counter() - started_s) * 1000, (time.process_time() - cpu_s) * 1000


def main() -> None:
    logs.configure(service="bench", level="error", style="text")
    tickers = FIXED_8782.read_text(encoding="ascii").split()
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        methods = {
            "flush_prices": flusher(prepared(Path(one), tickers)),
            "bare": bare_flusher(prepared(Path(two), tickers)),
        }
        print(
            f"{'rows':>6} {'method':<14} {'median ms':>10} {'CPU ms':>8} {'ratio':>6}   ({ROUNDS} interleaved rounds)"
        )
        for size in SIZES:
            report(size, {name: [] for name in methods}, methods, tickers)


def a_row(ticker: str) -> PriceRow:
    now = CLOCK.utc_now()
    price_usd = random.uniform(1, 500)
    return PriceRow(ticker=ticker, price_usd=price_usd, change=0.5, change_percent=0.5, price_time=now)


def report(
    size: int,
    taken: dict[str, list[tuple[float, float]]],
    methods: dict[str, Flush],
    tickers: list[str],
) -> None:
    for _ in range(ROUNDS):
        rows = [a_row(ticker) for ticker in random.sample(tickers, size)]
        for name in random.sample(list(methods), len(methods)):
            taken[name].append(measure(methods[name], rows))
    base_ms = statistics.median(cpu for _, cpu in taken["bare"])
    for name, times in taken.items():
        wall_ms, cpu_ms = (statistics.median(column) for column in zip(*times, strict=True))
        print(f"{size:>6} {name:<14} {wall_ms:>10.1f} {cpu_ms:>8.1f} {cpu_ms / base_ms:>6.2f}")


if __name__ == "__main__":
    main()
