from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select, text

from core.errors import FixByHand, RetryLater
from market.quotes import Quote
from market.universe import Listing
from storage import schema_version
from storage.prices import PriceRow, confirm_prices, flush_prices
from storage.quotes import write_quotes
from storage.reader import Reader, read_origin, read_quotes
from storage.schema import NEWEST_REVISION, stocks_stock
from storage.universe import load_universe
from storage.writer import Writer
from tests.fix_storage import CLOSES_AT, NOON, OPENS_AT, Cluster, StillClock, running_cluster


def test_quotes_come_in_the_order_asked_with_the_unknown_apart(writer: Writer, reader: Engine) -> None:
    rows, unknown = read_quotes(reader, ["C", "ZZZ", "A", "C"], at=NOON)
    assert [row["ticker"] for row in rows] == ["C", "A"]
    assert unknown == ["ZZZ"]


def test_a_quote_has_every_column_and_the_three_ages(writer: Writer, reader: Engine) -> None:
    row = PriceRow(ticker="A", price_usd=2.0, price_time=OPENS_AT)
    flush_prices(writer, [row], price_source="stream", session_opens_at=OPENS_AT)
    rows, _ = read_quotes(reader, ["A"], at=NOON + timedelta(seconds=2.5))
    assert set(rows[0]) == {*stocks_stock.columns.keys(), "price_age_s", "metrics_age_s", "daily_age_s"}
    assert (rows[0]["price_age_s"], rows[0]["metrics_age_s"], rows[0]["daily_age_s"]) == (2.5, None, None)


def test_many_tickers_can_be_asked_at_once(writer: Writer, reader: Engine) -> None:
    asked = [f"T{number}" for number in range(1200)]
    rows, unknown = read_quotes(reader, [*asked, "B"], at=NOON)
    assert [row["ticker"] for row in rows] == ["B"]
    assert unknown == asked


def test_the_origin_is_unknown_until_the_first_write(
    database_url: str, reader: Engine, still_clock: StillClock
) -> None:
    assert read_origin(reader) is None
    with Writer.open(database_url, service="test", origin="live", clock=still_clock) as live:
        live.run(lambda _: None, source="prices")
    assert read_origin(reader) == "live"


ROOT = Path(__file__).parents[2]
PRICES = ("current_price",)


@pytest.fixture
def client(database_url: str, still_clock: StillClock) -> Iterator[Reader]:
    with Reader(database_url, clock=still_clock) as opened:
        yield opened


def flush(writer: Writer, *tickers: str, price_usd: float) -> int:
    rows = [PriceRow(ticker=ticker, price_usd=price_usd, price_time=OPENS_AT) for ticker in tickers]
    return flush_prices(writer, rows, price_source="stream", session_opens_at=OPENS_AT).seq


def test_only_what_changed_since_comes_and_then_nothing_more(writer: Writer, client: Reader) -> None:
    loaded = client.changes(0)
    assert sorted(row["ticker"] for row in loaded.rows) == ["A", "B", "C"]
    seq = flush(writer, "B", price_usd=2.0)
    changes = client.changes(loaded.seq, columns=PRICES)
    assert changes.rows == [{"ticker": "B", "change_seq": seq, "current_price": 2.0}]
    assert changes.seq == client.seq() == seq
    assert client.changes(seq).rows == []


def test_a_change_has_the_values_that_the_table_has(
    writer: Writer, client: Reader, reader: Engine, still_clock: StillClock
) -> None:
    quote = Quote(ticker="A", current_price=2.5, price_time=NOON, volume=7, next_earnings_date=date(2026, 12, 1))
    opens_at = {"session_opens_at": OPENS_AT, "session_closes_at": CLOSES_AT}
    write_quotes(writer, [quote], at=NOON, **opens_at)
    with reader.connect() as connection:
        table = {row["ticker"]: dict(row) for row in connection.execute(select(stocks_stock)).mappings()}
    row = {row["ticker"]: row for row in client.changes(0).rows}["A"]
    assert row == table["A"]
    assert (row["is_listed"], row["next_earnings_date"], row["metrics_updated_at"]) == (True, date(2026, 12, 1), NOON)
    assert row["metrics_updated_at"].utcoffset() == timedelta(0)


def test_a_row_that_was_only_confirmed_does_not_come(writer: Writer, client: Reader) -> None:
    seq = flush(writer, "A", price_usd=2.0)
    flush(writer, "A", price_usd=2.0)
    confirm_prices(writer, ["A"], at=NOON + timedelta(minutes=1))
    assert client.changes(seq).rows == []


def test_a_limit_never_cuts_a_write_in_two(writer: Writer, client: Reader) -> None:
    start = client.seq()
    first, second = flush(writer, "A", "B", price_usd=1.0), flush(writer, "C", price_usd=1.0)
    page = client.changes(start, limit=1, columns=())
    assert ([row["ticker"] for row in page.rows], page.seq) == (["A", "B"], first)
    page = client.changes(page.seq, limit=1, columns=())
    assert (page.rows, page.seq) == ([{"ticker": "C", "change_seq": second}], second)
    assert client.changes(start, limit=100).seq == second


def test_a_table_younger_than_the_follower_comes_whole(writer: Writer, client: Reader) -> None:
    changes = client.changes(1_000_000)
    assert len(changes.rows) == 3
    assert changes.seq == client.seq() < 1_000_000


def test_an_unknown_column_is_refused(writer: Writer, client: Reader) -> None:
    flush(writer, "A", price_usd=2.0)
    with pytest.raises(ValueError, match=r"no column current_price FROM x --"):
        client.changes(0, columns=["current_price FROM x --"])


def test_quotes_and_coverage_are_of_now(writer: Writer, client: Reader, still_clock: StillClock) -> None:
    still_clock.at = NOON
    flush(writer, "A", price_usd=2.0)
    still_clock.at = NOON + timedelta(seconds=3)
    rows, unknown = client.quotes(["A", "ZZZ"])
    assert (rows[0]["price_age_s"], unknown) == (3.0, ["ZZZ"])
    assert client.coverage()["price"]["age_s"]["max"] == 3.0


def test_the_client_cannot_write(client: Reader) -> None:
    with pytest.raises(Exception, match=r"read-?only"), client.engine().begin() as connection:
        connection.execute(text("UPDATE stocks_stock SET current_price = 1"))


def test_a_replaced_file_is_read_and_a_missing_one_asks_to_try_later(sqlite_file: Path, sqlite_template: Path) -> None:
    with Reader(f"sqlite:///{sqlite_file}") as client:
        assert client.seq() == 0
        sqlite_file.unlink()
        with pytest.raises(RetryLater, match="is away"):
            client.changes(0)
        shutil.copy(sqlite_template, sqlite_file)
        with Writer.open(f"sqlite:///{sqlite_file}", service="test", origin=None, clock=StillClock()) as writer:
            load_universe(writer, [Listing(ticker="NEW")])
        assert [row["ticker"] for row in client.changes(0).rows] == ["NEW"]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with running_cluster() as running:
        yield running


def test_a_follower_of_a_server_that_was_restarted_goes_on(cluster: Cluster) -> None:
    with Reader(cluster.url("template_tickerd")) as client:
        seq = client.seq()
        cluster.administer("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'reader'")
        assert client.seq() == seq
        cluster.stop("fast")
        with pytest.raises(RetryLater, match="does not answer"):
            client.seq()
        cluster.start()
        assert client.changes(seq).seq == seq


def test_an_older_schema_is_refused(database_url: str) -> None:
    schema_version.downgrade(database_url, "0001")
    with pytest.raises(FixByHand, match=f"has schema 0001, not {NEWEST_REVISION}"):
        Reader(database_url)


WRITE_HERE_AND_THERE = """
import random, sys
from datetime import timedelta
from core import logs
from core.clock import SystemClock
from storage.prices import PriceRow, flush_prices
from storage.writer import Writer
url, seed, flushes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
logs.configure(service="test", level="error", style="json")
clock, chance = SystemClock(), random.Random(seed)
with Writer.open(url, service="test", origin="practice", clock=clock) as writer:
    for _ in range(flushes):
        tickers = chance.sample(range(300), chance.randint(1, 60))
        rows = [PriceRow(ticker=f"T{i}", price_usd=chance.random() + 1, price_time=clock.utc_now()) for i in tickers]
        flush_prices(writer, rows, price_source="stream", session_opens_at=clock.utc_now() - timedelta(hours=1))
"""


def test_a_copy_kept_by_changes_alone_equals_the_table_while_two_processes_write(
    database_url: str, client: Reader, reader: Engine
) -> None:
    with Writer.open(database_url, service="test", origin="practice", clock=StillClock()) as writer:
        load_universe(writer, [Listing(ticker=f"T{number}") for number in range(300)])
    command = [sys.executable, "-c", WRITE_HERE_AND_THERE, database_url]
    writers = [subprocess.Popen([*command, seed, "60"], cwd=ROOT) for seed in ("1", "2")]
    copy: dict[str, dict[str, Any]] = {}
    seqs, seq = [], 0
    for limit in itertools.cycle((None, 1, 50)):
        running = any(process.poll() is None for process in writers)  # asked first: what they wrote is read below
        changes = client.changes(seq, limit=limit)
        assert all(seq < row["change_seq"] <= changes.seq for row in changes.rows)
        copy |= {row["ticker"]: row for row in changes.rows}
        seq = changes.seq
        seqs.append(seq)
        if not running and not changes.rows:
            break
    assert [process.wait() for process in writers] == [0, 0]
    with reader.connect() as connection:
        table = {row["ticker"]: dict(row) for row in connection.execute(select(stocks_stock)).mappings()}
    assert copy == table
    assert seqs == sorted(seqs)
    assert len(set(seqs)) > 5, "it did follow while they wrote"
