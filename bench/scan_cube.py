"""What the bar cube costs: built from SQL, asked again, renewed after a split. Bars are generated.

python -m bench.scan_cube                   # 8,782 tickers x 400 bars, on SQLite and on PostgreSQL
python -m bench.scan_cube --tickers 1000
"""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import structlog
from sqlalchemy import Engine, text

from bench.scan_backtest import generated
from bench.scan_cold import peak_mb
from screener.cube import build
from screener.cube.bars import FIELDS, Bars
from storage import schema_version
from storage.engine import open_engine, open_reader_engine
from tests.fix_storage import running_cluster

TICKERS, BARS = 8782, 400
COLUMNS = "ticker, session_date, open, high, low, close, volume, source"
MARKED = "INSERT INTO change_marker (source, seq, epoch, committed_at) VALUES ('daily_bars', 1, 1, :at)"
SPLIT = (
    "UPDATE stocks_daily_bar SET open = open / 2, high = high / 2, low = low / 2, close = close / 2 WHERE ticker = 'T7'"
)


def rows_of(bars: Bars) -> Iterator[tuple[Any, ...]]:
    """Give the rows by day, as most of them come to be: a ticker's lie far apart in the table."""
    days = [date(2026, 11, 20) - timedelta(days=back) for back in range(bars.rows)][::-1]
    for row, day in enumerate(days):
        columns = (getattr(bars, name)[row].astype(float).tolist() for name in FIELDS)
        for ticker, *prices, volume in zip(bars.tickers, *columns, strict=True):
            yield ticker, str(day), *prices, int(volume), "chart"


def fill(url: str, bars: Bars) -> None:
    schema_version.upgrade(url)
    engine = open_engine(url, service="bench", statement_timeout_s=600)
    with engine.begin() as connection:
        connection.execute(text(MARKED), {"at": "2026-11-20 22:00:00.000000"})
        driver: Any = connection.connection.driver_connection
        if engine.dialect.name == "sqlite":
            marks = ", ".join("?" * 8)
            driver.executemany(f"INSERT INTO stocks_daily_bar ({COLUMNS}) VALUES ({marks})", rows_of(bars))
        else:
            with driver.cursor() as cursor, cursor.copy(f"COPY stocks_daily_bar ({COLUMNS}) FROM STDIN") as copy:
                for row in rows_of(bars):
                    copy.write_row(row)
    engine.dispose()


def timed(engine: Engine, folder: Path, rows: int) -> tuple[float, float]:
    """Return wall and CPU seconds of this process; what the server works is in the wall's alone."""
    wall_s, cpu_s = perf_counter(), process_time()
    build.keep_current(folder, engine, rows=rows)
    return perf_counter() - wall_s, process_time() - cpu_s


def measure(url: str, rows: int) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as folder:
        engine, cube = open_reader_engine(url, service="bench"), Path(folder)
        before_mb = peak_mb()
        found: dict[str, Any] = {"built": timed(engine, cube, rows), "peak_mb": peak_mb(), "before_mb": before_mb}
        found["unchanged"] = timed(engine, cube, rows)
        other = open_engine(url, service="bench")
        with other.begin() as connection:
            connection.execute(text(SPLIT))
            connection.execute(text("UPDATE change_marker SET seq = 2 WHERE source = 'daily_bars'"))
        other.dispose()
        found["one ticker's split"] = timed(engine, cube, rows)
        print(json.dumps(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickers", type=int, default=TICKERS)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        measure(asked.measure, BARS)
        return
    bars = generated(asked.tickers, BARS)
    print(f"{bars.width} tickers x {bars.rows} bars; wall and CPU seconds")
    with tempfile.TemporaryDirectory() as folder, running_cluster() as cluster:
        cluster.administer("CREATE DATABASE bars")
        for url in (f"sqlite:///{folder}/bars.db", cluster.url("bars")):
            fill(url, bars)
            command = [sys.executable, "-m", "bench.scan_cube", "--measure", url]
            found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
            took = ", ".join(
                f"{name} {found[name][0]:.2f} / {found[name][1]:.2f}" for name in list(found)[:1] + list(found)[3:]
            )
            print(
                f"  {url.partition(':')[0]:20} {took}; peak {found['peak_mb']:.0f} MB, {found['before_mb']:.0f} before"
            )


if __name__ == "__main__":
    main()
