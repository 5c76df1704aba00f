from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from core.errors import FixByHand, RetryLater
from storage import schema_version
from storage.engine import open_reader_engine
from storage.reader import read_origin
from storage.wal import LogKeeper
from storage.writer import Origin, StaleWriter, Transaction, Writer
from tests.fix_storage import NOON, StillClock

ROOT = Path(__file__).parents[2]


def open_writer(url: str, *, origin: Origin | None = "practice", epoch: int = 1, **more: float) -> Writer:
    return Writer.open(url, service="test", origin=origin, epoch=epoch, clock=StillClock(), wait=lambda _: None, **more)


def put(key: str) -> Callable[[Transaction], int]:
    def body(tx: Transaction) -> int:
        tx.execute("put_meta", {"key": key, "value": "there"})
        tx.wrote(1)
        return tx.seq

    return body


def scalar(engine: Engine, statement: str) -> object:
    with engine.connect() as connection:
        return connection.execute(text(statement)).scalar()


def test_the_first_write_notes_the_origin_its_time_and_the_lease(database_url: str, reader: Engine) -> None:
    with open_writer(database_url) as writer:
        assert read_origin(reader) is None, "opening writes nothing"
        writer.run(lambda tx: tx.wrote(1), source="prices")
    assert read_origin(reader) == "practice"
    assert scalar(reader, "SELECT value FROM app_meta WHERE key = 'first_write'") == NOON.isoformat()
    assert scalar(reader, "SELECT epoch FROM lease WHERE name = 'writer'") == 1
    assert scalar(reader, "SELECT seq FROM change_marker WHERE source = 'prices'") == 1


def test_data_of_the_other_market_is_refused_and_nothing_written(database_url: str, reader: Engine) -> None:
    with open_writer(database_url, origin="practice") as writer:
        writer.run(lambda _: None, source="prices")
    with open_writer(database_url, origin="live") as other:
        expected = r"holds practice data and these are live data; give the live data a database of their own"
        with pytest.raises(FixByHand, match=expected) as caught:
            other.run(lambda tx: tx.execute("put_meta", {"key": "k", "value": "v"}), source="prices")
    assert caught.value.exit_code == 78
    assert database_url.rpartition("/")[2].partition("?")[0] in str(caught.value), "the database is named"
    assert scalar(reader, "SELECT count(*) FROM app_meta WHERE key = 'k'") == 0


def test_a_writer_without_an_origin_neither_sets_nor_minds_it(database_url: str, reader: Engine) -> None:
    with open_writer(database_url, origin=None) as neutral:
        neutral.run(lambda _: None, source="universe")
        assert read_origin(reader) is None
        with open_writer(database_url, origin="live") as live:
            live.run(lambda _: None, source="prices")
        neutral.run(lambda _: None, source="universe")
    assert read_origin(reader) == "live"


@pytest.mark.parametrize("epoch", [1, 3])
def test_a_writer_of_another_epoch_never_writes(database_url: str, reader: Engine, epoch: int) -> None:
    with open_writer(database_url, epoch=2) as writer:
        writer.run(lambda _: None, source="prices")
    with open_writer(database_url, epoch=epoch) as stale, pytest.raises(StaleWriter, match=f"of epoch {epoch}"):
        stale.run(lambda tx: tx.execute("put_meta", {"key": "k", "value": "v"}), source="prices")
    assert scalar(reader, "SELECT count(*) FROM app_meta WHERE key = 'k'") == 0


def test_change_numbers_grow_over_all_sources(database_url: str, reader: Engine) -> None:
    with open_writer(database_url) as writer:
        seqs = [writer.run(put(source), source=source) for source in ("prices", "metrics", "prices")]
    assert seqs == [1, 2, 3]
    with reader.connect() as connection:
        found = connection.execute(text("SELECT source, seq FROM change_marker ORDER BY source")).all()
    assert [tuple(row) for row in found] == [("metrics", 2), ("prices", 3)]


def test_a_body_that_wrote_nothing_moves_no_marker(database_url: str, reader: Engine) -> None:
    with open_writer(database_url) as writer:
        writer.run(lambda _: None, source="prices")
    assert scalar(reader, "SELECT count(*) FROM change_marker") == 0


def test_an_error_in_the_body_undoes_all_of_it(database_url: str, reader: Engine) -> None:
    with open_writer(database_url) as writer:
        with pytest.raises(ZeroDivisionError), writer.transaction(source="prices") as tx:
            tx.execute("put_meta", {"key": "k", "value": "v"})
            tx.wrote(1 // 0)
        assert writer.run(put("after"), source="prices") == 1
    assert scalar(reader, "SELECT count(*) FROM app_meta WHERE key = 'k'") == 0


def test_a_busy_database_is_tried_five_times_and_then_later(sqlite_file: Path) -> None:
    waits: list[float] = []
    writer = Writer.open(
        f"sqlite:///{sqlite_file}",
        service="test",
        origin="live",
        clock=StillClock(),
        busy_timeout_s=0,
        wait=waits.append,
    )
    holder = sqlite3.connect(sqlite_file, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(RetryLater, match=r"tickerd\.db: is locked by another program") as caught:
        writer.run(lambda _: None, source="prices")
    assert caught.value.exit_code == 75
    assert len(waits) == 4
    assert waits == sorted(waits)
    holder.close()
    writer.run(lambda _: None, source="prices")
    writer.close()


def test_a_database_that_gets_free_meanwhile_is_written(sqlite_file: Path) -> None:
    holder = sqlite3.connect(sqlite_file, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with Writer.open(
        f"sqlite:///{sqlite_file}",
        service="test",
        origin="live",
        clock=StillClock(),
        busy_timeout_s=0,
        wait=lambda _: holder.close(),
    ) as writer:
        assert writer.run(put("k"), source="prices") == 1


def test_a_wait_that_took_long_is_not_repeated(sqlite_file: Path) -> None:
    """Each attempt may itself wait as long as the database is busy: five of them would be a minute."""
    clock = StillClock()
    waits: list[float] = []

    def wait(duration_s: float) -> None:
        waits.append(duration_s)
        clock.at += timedelta(seconds=11)

    writer = Writer.open(
        f"sqlite:///{sqlite_file}", service="test", origin="live", clock=clock, busy_timeout_s=0, wait=wait
    )
    holder = sqlite3.connect(sqlite_file, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(RetryLater):
        writer.run(lambda _: None, source="prices")
    assert len(waits) == 1
    holder.close()
    writer.close()


def test_the_first_transaction_and_those_that_ask_for_it_wait_for_the_disk(sqlite_file: Path) -> None:
    def level(writer: Writer, *, durable: bool = False) -> object:
        pragma = "PRAGMA synchronous"
        return writer.run(lambda tx: tx.connection.exec_driver_sql(pragma).scalar(), source="x", durable=durable)

    with open_writer(f"sqlite:///{sqlite_file}") as writer:
        assert [level(writer), level(writer), level(writer, durable=True), level(writer)] == [2, 1, 2, 1]


def test_a_migration_beside_a_running_writer_costs_it_nothing(postgresql_url: str) -> None:
    with open_writer(postgresql_url) as writer, open_writer(postgresql_url) as other:

        def columns(tx: Transaction) -> int:
            return len(tx.connection.exec_driver_sql("SELECT * FROM lease").keys())

        assert [writer.run(columns, source="test") for _ in range(8)] == [4] * 8
        add = "ALTER TABLE lease ADD COLUMN more TEXT"
        other.run(lambda tx: tx.connection.exec_driver_sql(add), source="test")
        assert writer.run(columns, source="test") == 5


def test_the_log_is_kept_short(sqlite_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_writer(f"sqlite:///{sqlite_file}") as writer:
        monkeypatch.setattr(writer, "_log_keeper", LogKeeper(sqlite_file, limit_bytes=0))
        writer.run(put("k"), source="prices")
        assert sqlite_file.with_name("tickerd.db-wal").stat().st_size == 0


def test_a_mistake_in_a_statement_is_not_called_a_database_that_is_away(database_url: str) -> None:
    with open_writer(database_url) as writer, pytest.raises(Exception, match=r"(?i)no_such_table") as caught:
        writer.run(lambda tx: tx.connection.exec_driver_sql("SELECT * FROM no_such_table"), source="prices")
    assert not isinstance(caught.value, RetryLater)


def test_a_file_that_was_taken_away_asks_to_try_later_and_is_not_made_anew(sqlite_file: Path) -> None:
    with contextlib.ExitStack() as stack:
        writer = stack.enter_context(open_writer(f"sqlite:///{sqlite_file}"))
        writer.run(lambda _: None, source="prices")
        sqlite_file.rename(sqlite_file.with_name("away.db"))
        with pytest.raises(RetryLater, match=r"tickerd\.db: is away"):
            writer.run(lambda _: None, source="prices")
        assert not sqlite_file.exists()


def test_a_file_that_was_replaced_is_the_one_written(sqlite_file: Path, sqlite_template: Path) -> None:
    url = f"sqlite:///{sqlite_file}"
    with open_writer(url) as writer:
        writer.run(put("old"), source="prices")
        for leftover in sqlite_file.parent.glob("tickerd.db*"):
            leftover.unlink()
        shutil.copy(sqlite_template, sqlite_file)
        writer.run(put("new"), source="prices")
    engine = open_reader_engine(url, service="test")
    assert scalar(engine, "SELECT count(*) FROM app_meta WHERE key = 'new'") == 1
    assert scalar(engine, "SELECT count(*) FROM app_meta WHERE key = 'old'") == 0
    engine.dispose()


def test_a_database_without_tables_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    with pytest.raises(FixByHand, match=r"empty\.db: holds no tables yet; run `tickerd db upgrade`"):
        open_writer(f"sqlite:///{tmp_path}/empty.db")
    assert (tmp_path / "empty.db").stat().st_size == 0


FLUSH_ON_AND_ON = """
import sys
from datetime import timedelta
from core import logs
from core.clock import SystemClock
from storage.prices import PriceRow, flush_prices
from storage.writer import Writer
url, name, flushes = sys.argv[1], sys.argv[2], int(sys.argv[3])
clock = SystemClock()
logs.configure(service=name, level="error", style="json")
writer = Writer.open(url, service=name, origin="live", clock=clock)
opens_at = clock.utc_now() - timedelta(hours=1)
for number in range(1, flushes + 1):
    rows = [PriceRow(ticker=f"T{i:04d}", price_usd=float(number), price_time=clock.utc_now()) for i in range(1000)]
    result = flush_prices(writer, rows, price_source=name, session_opens_at=opens_at)
    print(result.seq, result.written, flush=True)
writer.close()
"""


@pytest.fixture
def thousand_url(database_url: str) -> Iterator[str]:
    with open_writer(database_url, origin=None) as writer:
        rows = [
            {"ticker": f"T{i:04d}", "at": None, "seq": 0} | dict.fromkeys(FACTS) | {"listed_by": "user"}
            for i in range(1000)
        ]
        writer.run(lambda tx: tx.execute_many("put_listing", rows), source="universe")
    yield database_url


FACTS = ("company_name", "exchange", "quote_type", "security_type", "sector", "industry")


def start(url: str, name: str, flushes: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", FLUSH_ON_AND_ON, url, name, str(flushes)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_two_processes_that_write_the_same_rows_lose_nothing(thousand_url: str) -> None:
    processes = [start(thousand_url, name, 15) for name in ("one", "two")]
    said = [process.communicate(timeout=60)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    flushes = [(int(seq), int(written)) for words in said for seq, written in zip(words[::2], words[1::2], strict=True)]
    seqs = sorted(seq for seq, written in flushes if written)  # of two that cross, the older writes nothing
    assert seqs == list(range(1, len(seqs) + 1)), "each flush has a number of its own, without gaps"
    assert len(flushes) == 30
    assert seqs


def test_a_writer_killed_in_mid_flush_leaves_whole_flushes_only(thousand_url: str, reader: Engine) -> None:
    process = start(thousand_url, "killed", 100_000)
    assert process.stdout is not None
    acknowledged = 0
    for _ in range(5):
        acknowledged = int(process.stdout.readline().split()[0])
    process.kill()
    rest, _ = process.communicate(timeout=60)
    acknowledged = max([acknowledged, *(int(line.split()[0]) for line in rest.splitlines() if line.count(" "))])
    with reader.connect() as connection:
        rows = connection.execute(text("SELECT DISTINCT change_seq, current_price FROM stocks_stock")).all()
    assert len(rows) == 1, "no row of a half flush"
    assert rows[0].change_seq >= acknowledged, "nothing acknowledged is lost"
    assert rows[0].change_seq == rows[0].current_price == scalar(reader, "SELECT max(seq) FROM change_marker")
    with Writer.open(thousand_url, service="next", origin="live", clock=StillClock()) as writer:
        assert writer.run(put("k"), source="prices") == rows[0].change_seq + 1
    assert schema_version.check(thousand_url).state == "current"


def test_the_lock_file_stays_beside_the_database(sqlite_file: Path) -> None:
    with open_writer(f"sqlite:///{sqlite_file}") as writer:
        writer.run(lambda _: None, source="prices")
    assert sorted(os.listdir(sqlite_file.parent)) == ["tickerd.db", "tickerd.db.lock"]
