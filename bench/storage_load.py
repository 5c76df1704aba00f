"""One process of a storage benchmark: a writer, a reader, a feed. Run: python -m bench.storage_load ROLE URL SECONDS.

Prints one JSON document at its end; `flush` prints one line a flush, so that it may be killed at any moment.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from sqlalchemy import Engine

from bench.storage_flush import CLOCK, OPENS_AT, a_batch
from core import logs
from core.clock import pause
from core.errors import RetryLater
from market.quotes import Quote
from storage.engine import open_reader_engine
from storage.prices import flush_prices
from storage.quotes import write_quotes
from storage.reader import Reader
from storage.universe import read_tickers
from storage.writer import Writer

POINT = "SELECT current_price, last_updated FROM stocks_stock WHERE ticker = '{}'"
NEWEST = "SELECT ticker, current_price, last_updated FROM stocks_stock ORDER BY last_updated DESC LIMIT 10"
READS_PER_S = 50
SCAN_EVERY = 10  # reads
FEED_POLL_S = 0.2


def paced(every_s: float, seconds: float) -> Iterator[int]:
    started_s = time.perf_counter()
    number = 0
    while (now_s := time.perf_counter() - started_s) < seconds:
        if now_s < number * every_s:
            pause(number * every_s - now_s)
        number += 1
        yield number


def prices(url: str, seconds: float) -> dict[str, Any]:
    writer, names = _writer(url), _tickers(url)
    first = int(CLOCK.monotonic_s())  # later runs bring later times
    taken, errors, ends = [], 0, {}
    for number in paced(1.0, seconds):
        batch = a_batch(names, first + number)
        started_s = time.perf_counter()
        try:
            result = flush_prices(writer, batch, price_source="bench", session_opens_at=OPENS_AT)
        except RetryLater:
            errors += 1
        else:
            ends[result.seq] = CLOCK.monotonic_s()
            taken.append(time.perf_counter() - started_s)
    writer.close()
    return {"errors": errors, "ends": ends} | _in_ms(taken)


def metrics(url: str, seconds: float) -> dict[str, Any]:
    writer, names = _writer(url), _tickers(url)
    taken, errors = [], 0
    for number in paced(0.1, seconds):
        quotes = [Quote(ticker=ticker, volume=number, pe_ratio=1.5) for ticker in random.sample(names, 100)]
        at = CLOCK.utc_now()
        started_s = time.perf_counter()
        try:
            write_quotes(writer, quotes, at=at, session_opens_at=None, session_closes_at=None)
        except RetryLater:
            errors += 1
        taken.append(time.perf_counter() - started_s)
    writer.close()
    return {"errors": errors} | _in_ms(taken)


def read(url: str, seconds: float) -> dict[str, Any]:
    engine, names = open_reader_engine(url, service="bench"), _tickers(url)
    taken, used, errors = [], [], 0
    for number in paced(1 / READS_PER_S, seconds):
        statement = NEWEST if number % SCAN_EVERY == 0 else POINT.format(random.choice(names))
        started_s, cpu_s = time.perf_counter(), time.process_time()
        try:
            _fetch(engine, statement)
        except RetryLater:
            errors += 1
        taken.append(time.perf_counter() - started_s)
        used.append(time.process_time() - cpu_s)
    return {"errors": errors, "cpu_p99_ms": _in_ms(used)["p99_ms"]} | _in_ms(taken)


def _fetch(engine: Engine, statement: str) -> None:
    with engine.connect() as connection:
        connection.exec_driver_sql(statement).fetchall()


def feed(url: str, seconds: float) -> dict[str, Any]:
    """Follow the changes; return when each seq was in hand and the processor time used for that."""
    seen: dict[int, float] = {}
    rows = 0
    with Reader(url) as reader:
        seq = reader.seq()
        cpu_s = time.process_time()
        for _ in paced(FEED_POLL_S, seconds):
            changes = reader.changes(seq, columns=("current_price",))
            if changes.rows:
                seen[changes.seq] = CLOCK.monotonic_s()
                seq, rows = changes.seq, rows + len(changes.rows)
        return {"seen": seen, "rows": rows, "cpu_percent": (time.process_time() - cpu_s) / seconds * 100}


def flush(url: str, _seconds: float) -> dict[str, Any]:
    """Flush without a pause until killed; each line is an acknowledgement."""
    writer, names = _writer(url), _tickers(url)
    number = int(CLOCK.monotonic_s() * 50)  # later runs bring later times
    while True:
        number += 1
        batch = a_batch(names, number)
        result = flush_prices(writer, batch, price_source="bench", session_opens_at=OPENS_AT - timedelta(days=9))
        assert result.written == len(batch)
        sys.stdout.write(f"{result.seq}\n")
        sys.stdout.flush()


def _writer(url: str) -> Writer:
    return Writer.open(url, service="bench", origin="practice", clock=CLOCK)


def _tickers(url: str) -> list[str]:
    engine = open_reader_engine(url, service="bench")
    names = [row.ticker for row in read_tickers(engine)]
    engine.dispose()
    return names


def _in_ms(taken_s: list[float]) -> dict[str, float]:
    ordered = sorted(taken_s)
    return {
        "count": len(ordered),
        "p50_ms": statistics.median(ordered) * 1000,
        "p99_ms": ordered[int(len(ordered) * 0.99)] * 1000,
        "max_ms": ordered[-1] * 1000,
    }


ROLES: dict[str, Callable[[str, float], dict[str, Any]]] = {
    "prices": prices,
    "metrics": metrics,
    "read": read,
    "feed": feed,
    "flush": flush,
}

if __name__ == "__main__":
    logs.configure(service="bench", level="error", style="text")
    print(json.dumps(ROLES[sys.argv[1]](sys.argv[2], float(sys.argv[3]))))
