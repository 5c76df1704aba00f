"""All who write at once, as processes of their own on one database: no update lost, no deadlock, no long wait."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from market.universe import Listing
from storage.universe import load_universe
from storage.writer import Writer
from tests.fix_storage import StillClock

ROOT = Path(__file__).parents[2]
TICKERS = [f"T{number:04d}" for number in range(1000)]
TIMES = 12

BODY = """
import json, sys
from datetime import date, timedelta
from pathlib import Path
from core import logs
from core.clock import SystemClock
from market.fundamentals import Decoded, Fundamentals
from market.quotes import Quote
from storage.daily_bars import DailyBar, write_daily_bars
from storage.prices import PriceRow, flush_prices
from storage.profiles import write_fundamentals
from storage.quotes import write_quotes
from storage.recorder import Journal, Recorder
from storage.writer import Writer
role, url, folder, times = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
clock = SystemClock()
logs.configure(service=role, level="error", style="json")
writer = Writer.open(url, service=role, origin="practice", clock=clock)
tickers = [f"T{number:04d}" for number in range(1000)]
opens_at = clock.utc_now() - timedelta(hours=1)
journal = Journal(folder / "events.jsonl")
recorder = Recorder(writer, journal)

def prices(number):
    now = clock.utc_now()
    rows = [PriceRow(ticker=ticker, price_usd=float(number), price_time=now) for ticker in reversed(tickers)]
    assert flush_prices(writer, rows, price_source=role, session_opens_at=opens_at).written == 1000

def metrics(number):
    for start in range(0, 1000, 100):
        quotes = [Quote(ticker=ticker, volume=number) for ticker in tickers[start : start + 100]]
        result = write_quotes(
            writer, quotes, at=clock.utc_now(), session_opens_at=None, session_closes_at=None
        )
        assert result.written == 100

def daily(number):
    said = [Decoded(fundamentals=Fundamentals(ticker=ticker, beta=float(number))) for ticker in tickers[number::7]]
    on = date(2026, 11, number)
    result = write_fundamentals(writer, said, at=clock.utc_now(), session_date=on, drop_after_days=30)
    assert result.written == len(said)
    day = {"session_date": on, "adj_close": None, "volume": 1, "source": role}
    bars = [DailyBar(ticker=ticker, open=1.0, high=1.0, low=1.0, close=1.0, **day) for ticker in tickers]
    assert write_daily_bars(writer, bars).written == 1000

def events(number):
    with (folder / "events.jsonl").open("a") as file:
        for more in range(20):
            said = {"source": "host", "seq": number * 20 + more, "process": "prices", "event": "started"}
            file.write(json.dumps(said | {"at": clock.utc_now().isoformat()}) + "\\n")
    recorder.drain()

longest_s = 0.0
for number in range(1, times + 1):
    begun_s = clock.monotonic_s()
    globals()[role](number)
    longest_s = max(longest_s, clock.monotonic_s() - begun_s)
writer.close()
journal.close()
print(json.dumps({"longest_s": longest_s}))
"""


def start(role: str, url: str, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", BODY, role, url, str(folder), str(TIMES)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def row(reader: Engine, statement: str) -> tuple[Any, ...]:
    with reader.connect() as connection:
        return tuple(connection.execute(text(statement)).one())


@pytest.fixture
def filled_url(database_url: str) -> str:
    with Writer.open(database_url, service="test", origin="practice", clock=StillClock()) as writer:
        load_universe(writer, [Listing(ticker=ticker) for ticker in TICKERS])
    return database_url


def test_the_scanners_and_the_recorder_at_once_lose_nothing(filled_url: str, reader: Engine, tmp_path: Path) -> None:
    processes = [start(role, filled_url, tmp_path) for role in ("prices", "metrics", "daily", "events")]
    said = [process.communicate(timeout=250) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, [error for _, error in said]
    assert max(json.loads(output)["longest_s"] for output, _ in said) < 60.0

    stocks = "SELECT min(current_price), max(current_price), min(volume), max(volume) FROM stocks_stock"
    assert row(reader, stocks) == (TIMES, TIMES, TIMES, TIMES), "each group as its own writer left it"
    betas = "SELECT count(*), min(beta), max(beta) FROM stocks_stock WHERE beta IS NOT NULL"
    assert row(reader, betas) == (1000 - 1, 1.0, TIMES), "the first ticker was in no batch before the seventh"
    assert row(reader, "SELECT count(*) FROM stocks_daily_bar") == (1000 * TIMES,)
    assert row(reader, "SELECT count(*), count(DISTINCT seq) FROM scanner_event") == (20 * TIMES, 20 * TIMES)
    transactions = 1 + TIMES * (1 + 10 + 1 + 1)  # the universe; prices, metrics, profiles, bars
    assert row(reader, "SELECT max(seq) FROM change_marker") == (transactions,), "each has a number, none had two"
    if reader.dialect.name == "postgresql":
        assert row(reader, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == (0,)
    else:
        assert row(reader, "PRAGMA integrity_check") == ("ok",)


def test_a_host_that_was_replaced_writes_nothing_more_in_any_transaction(filled_url: str, reader: Engine) -> None:
    """The epoch is looked at inside each transaction: the next one after the change is already refused."""
    with Writer.open(filled_url, service="old", origin="practice", clock=StillClock()) as old:
        old.run(lambda tx: tx.execute("put_meta", {"key": "k", "value": "before"}), source="prices")
        take_over = "UPDATE lease SET epoch = 2 WHERE name = 'writer'"
        with Writer.open(filled_url, service="new", origin="practice", clock=StillClock()) as new:
            new.run(lambda tx: tx.connection.exec_driver_sql(take_over), source="lease")
        with pytest.raises(Exception, match="epoch 2 writes now, this process is of epoch 1"):
            old.run(lambda tx: tx.execute("put_meta", {"key": "k", "value": "after"}), source="prices")
    assert row(reader, "SELECT value FROM app_meta WHERE key = 'k'") == ("before",)
