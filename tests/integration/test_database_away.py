"""The database goes away in every way it can; a writer that lives on says so in time, loses nothing and goes on."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, text

from core.clock import SystemClock
from core.errors import RetryLater
from market.universe import Listing
from storage import engine as engine_module
from storage.daily_progress import read_standings
from storage.engine import open_reader_engine
from storage.prices import PriceRow, flush_prices
from storage.universe import load_universe
from storage.writer import Writer
from tests.fix_ports import port_to_come
from tests.fix_storage import NOON, OPENS_AT, Cluster, StillClock, running_cluster

CLOCK = SystemClock()
ROOT = Path(__file__).parents[2]
TICKERS = [f"T{number:03d}" for number in range(200)]


def open_writer(url: str, *, busy_timeout_s: float = 10.0) -> Writer:
    writer = Writer.open(
        url, service="test", origin="practice", clock=StillClock(), busy_timeout_s=busy_timeout_s, wait=lambda _: None
    )
    load_universe(writer, [Listing(ticker=ticker) for ticker in TICKERS])
    return writer


def flush(writer: Writer, price_usd: float) -> int:
    rows = [PriceRow(ticker=ticker, price_usd=price_usd, price_time=NOON) for ticker in TICKERS]
    return flush_prices(writer, rows, price_source="stream", session_opens_at=OPENS_AT).written


def prices(url: str) -> list[float]:
    engine = open_reader_engine(url, service="test")
    try:
        return distinct_prices(engine)
    finally:
        engine.dispose()


def distinct_prices(engine: Engine) -> list[float]:
    with engine.connect() as connection:
        return list(connection.execute(text("SELECT DISTINCT current_price FROM stocks_stock")).scalars())


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A cluster of this test's own, that it may end."""
    with running_cluster() as running:
        yield running


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_server_that_is_stopped_and_started_is_written_again(cluster: Cluster, mode: str) -> None:
    url = cluster.url("template_tickerd")
    with open_writer(url) as writer:
        assert flush(writer, 1.0) == 200
        cluster.stop(mode)
        for _ in range(2):
            with pytest.raises(RetryLater, match="does not answer"):
                flush(writer, 2.0)
        cluster.start()
        assert prices(url) == [1.0], "what was acknowledged is there, what was not is not"
        assert flush(writer, 2.0) == 200
        assert prices(url) == [2.0]


def test_a_reader_from_before_a_restart_of_the_server_reads_on_without_an_error(cluster: Cluster) -> None:
    """The daily refresh keeps one for hours: what its pool holds is tried before it is used, and made anew."""
    engine = open_reader_engine(cluster.url("template_tickerd"), service="test")
    assert read_standings(engine) == []
    cluster.stop("fast")
    with pytest.raises(RetryLater, match="does not answer"):
        read_standings(engine)
    cluster.start()
    assert read_standings(engine) == []
    cluster.administer("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'test'")
    assert read_standings(engine) == []
    engine.dispose()


def test_a_connection_that_the_server_ends_in_mid_transaction_loses_no_other(cluster: Cluster) -> None:
    with open_writer(cluster.url("template_tickerd")) as writer:
        with pytest.raises(RetryLater), writer.transaction(source="prices") as tx:
            tx.execute("put_meta", {"key": "k", "value": "v"})
            cluster.administer("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'test'")
            tx.execute("put_meta", {"key": "l", "value": "v"})
        assert flush(writer, 1.0) == 200


FORWARD = """
import asyncio, sys
port, target = int(sys.argv[1]), sys.argv[2]
async def pipe(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
async def serve(reader, writer):
    there = await asyncio.open_unix_connection(target)
    await asyncio.gather(pipe(reader, there[1]), pipe(there[0], writer), return_exceptions=True)
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    print("ready", flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


def start_forwarder(port: int, socket_file: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", FORWARD, str(port), socket_file], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_a_network_that_swallows_everything_is_given_up_in_time(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine between still takes packets, so TCP itself notices nothing."""
    monkeypatch.setattr(engine_module, "ANSWER_MARGIN_S", -13.0)
    monkeypatch.setattr(engine_module, "CONNECT_TIMEOUT_S", 4)
    folder, port = postgresql_url.rpartition("host=")[2], port_to_come()
    database = postgresql_url.split("@/")[1].split("?")[0]
    between = start_forwarder(port, f"{folder}/.s.PGSQL.5432")
    url = f"postgresql+psycopg://tickerd@127.0.0.1:{port}/{database}"
    with open_writer(url) as writer:
        assert flush(writer, 1.0) == 200
        between.send_signal(signal.SIGSTOP)
        begun_s = CLOCK.monotonic_s()
        with pytest.raises(RetryLater, match="does not answer"):
            flush(writer, 2.0)
        assert CLOCK.monotonic_s() - begun_s < 60.0, "one answer not waited for, one new connection"
        between.send_signal(signal.SIGCONT)
        assert flush(writer, 3.0) == 200
        end(between)
        with pytest.raises(RetryLater, match="does not answer"):
            flush(writer, 4.0)
        between = start_forwarder(port, f"{folder}/.s.PGSQL.5432")
        assert flush(writer, 5.0) == 200
    assert prices(postgresql_url) == [5.0]
    end(between)


def test_a_network_cut_in_mid_transaction_leaves_no_half_of_it(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "ANSWER_MARGIN_S", -13.0)
    folder, port = postgresql_url.rpartition("host=")[2], port_to_come()
    database = postgresql_url.split("@/")[1].split("?")[0]
    between = start_forwarder(port, f"{folder}/.s.PGSQL.5432")
    with open_writer(f"postgresql+psycopg://tickerd@127.0.0.1:{port}/{database}") as writer:
        with pytest.raises(RetryLater, match="no answer for 2 s"), writer.transaction(source="prices") as tx:
            tx.execute("put_meta", {"key": "half", "value": "v"})
            between.send_signal(signal.SIGSTOP)
            tx.execute("put_meta", {"key": "other", "value": "v"})
        end(between)
        between = start_forwarder(port, f"{folder}/.s.PGSQL.5432")
        assert flush(writer, 1.0) == 200
        count = "SELECT count(*) FROM app_meta WHERE key IN ('half', 'other')"
        assert writer.run(lambda tx: tx.connection.exec_driver_sql(count).scalar(), source="test") == 0
    end(between)


def test_a_full_disk_is_waited_for_and_then_written(sqlite_file: Path) -> None:
    url = f"sqlite:///{sqlite_file}"
    with open_writer(url) as writer:
        assert flush(writer, 1.0) == 200
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        log = sqlite_file.with_name("tickerd.db-wal")
        resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size, limits[1]))
        try:
            for _ in range(2):
                with pytest.raises(RetryLater, match="does not answer"):
                    flush(writer, 2.0)
            assert prices(url) == [1.0], "readers go on with what was acknowledged"
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert flush(writer, 2.0) == 200
        check = writer.run(lambda tx: tx.connection.exec_driver_sql("PRAGMA integrity_check").scalar(), source="test")
        assert check == "ok"
    assert prices(url) == [2.0]


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of 96 MB."""
    if os.getuid() != 0:
        pytest.skip("only root may mount a small disk")
    folder = Path(tempfile.mkdtemp(prefix="tickerd-disk-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m,mode=755", "tickerd", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)
        folder.rmdir()


def test_a_servers_full_disk_is_waited_for_and_what_was_acknowledged_is_there(small_disk: Path) -> None:
    with running_cluster(where=small_disk) as cluster, open_writer(cluster.url("template_tickerd")) as writer:
        assert flush(writer, 1.0) == 200
        ballast = small_disk / "ballast"
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while file.write(bytes(1 << 16)):
                pass
        acknowledged = 1.0
        with pytest.raises(RetryLater):  # first the log's room runs out, then the server ends
            for price_usd in range(2, 2_000):
                assert flush(writer, price_usd) == 200
                acknowledged = price_usd
                with suppress(psycopg.OperationalError):
                    cluster.administer("SELECT pg_switch_wal()")
        ballast.unlink()
        with suppress(subprocess.CalledProcessError):  # it may still run, or have come back by itself
            cluster.start()
        assert prices(cluster.url("template_tickerd")) == [acknowledged]
        assert flush(writer, 5_000.0) == 200
        assert prices(cluster.url("template_tickerd")) == [5_000.0]


HOLD = """
import sys
from storage.engine import writers_lock
with writers_lock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_writer_that_stands_still_with_the_lock_blocks_no_other_for_ever(sqlite_file: Path) -> None:
    url = f"sqlite:///{sqlite_file}"
    with open_writer(url, busy_timeout_s=0.3) as writer:
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLD, url], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        holder.send_signal(signal.SIGSTOP)
        begun_s = CLOCK.monotonic_s()
        with pytest.raises(RetryLater, match=r"tickerd\.db\.lock: another writer has held the lock for 0\.3 s"):
            flush(writer, 1.0)
        assert 0.3 <= CLOCK.monotonic_s() - begun_s < 60.0
        holder.send_signal(signal.SIGCONT)
        holder.communicate("go on\n", timeout=60)
        assert flush(writer, 1.0) == 200
