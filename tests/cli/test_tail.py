from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from market.universe import Listing
from storage.prices import PriceRow, flush_prices
from storage.schema import stocks_stock
from storage.universe import load_universe
from storage.writer import Writer
from tests.fix_cli import COMMAND, Run, clean_environ
from tests.fix_storage import OPENS_AT, StillClock

PRICE = ("--column", "current_price")


@pytest.fixture
def table(database_url: str, still_clock: StillClock) -> Iterator[Writer]:
    """A writer of a table of A and B."""
    with Writer.open(database_url, service="test", origin="practice", clock=still_clock) as writer:
        load_universe(writer, [Listing(ticker=ticker) for ticker in ("A", "B")])
        yield writer


@pytest.fixture
def at_table(here: Run, table: Writer, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs commands that find the table."""
    monkeypatch.setenv("TICKERD_DATABASE__URL", database_url)
    return here


def flush(writer: Writer, ticker: str, price_usd: float) -> int:
    row = PriceRow(ticker=ticker, price_usd=price_usd, price_time=OPENS_AT)
    return flush_prices(writer, [row], price_source="stream", session_opens_at=OPENS_AT).seq


def once(at_table: Run, *arguments: str) -> list[dict[str, Any]]:
    ended = at_table("tail", "--once", *arguments)
    assert (ended.code, ended.err) == (0, "")
    return [json.loads(line) for line in ended.out.splitlines()]


def test_once_shows_every_row_with_every_column_and_ends(at_table: Run) -> None:
    rows = once(at_table)
    assert [row["ticker"] for row in rows] == ["A", "B"]
    assert list(rows[0])[:2] == ["seq", "ticker"]
    assert set(rows[0]) == {"seq", *stocks_stock.columns.keys()} - {"change_seq"}


def test_it_goes_on_after_the_write_that_it_is_given(at_table: Run, table: Writer) -> None:
    seq = flush(table, "B", 2.5)
    assert once(at_table, "--since", str(seq - 1), *PRICE) == [{"seq": seq, "ticker": "B", "current_price": 2.5}]
    assert once(at_table, "--since", str(seq)) == []


def test_a_column_that_the_table_has_not_is_a_usage_error(here: Run) -> None:
    here("tail", "--column", "colour").fails(2, "'colour' is not one of", "'current_price'")


def test_without_a_database_it_says_how_to_make_one(here: Run) -> None:
    here("tail").fails(78, "holds no tables yet; run `tickerd db upgrade`")


class Followed:
    """A running `tickerd tail`; its lines are read by a thread, so that a silent one fails the test in time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def line(self) -> dict[str, Any]:
        return dict(json.loads(self.text(self.process.stdout)))

    def text(self, stream: Any) -> str:
        timer = threading.Timer(20, self.process.kill)
        timer.start()
        try:
            return str(stream.readline())
        finally:
            timer.cancel()


@contextmanager
def following(url: str, folder: Path, *arguments: str) -> Iterator[Followed]:
    process = subprocess.Popen(
        [COMMAND, "tail", *PRICE, *arguments],
        cwd=folder,
        env=clean_environ(TICKERD_DATABASE__URL=url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Followed(process)
    finally:
        process.kill()
        process.communicate()


def test_changes_come_as_they_are_committed_and_ctrl_c_ends_it_quietly(
    table: Writer, database_url: str, tmp_path: Path
) -> None:
    with following(database_url, tmp_path, "--since", "0") as tail:
        assert [tail.line()["ticker"] for _ in range(2)] == ["A", "B"]
        for price_usd in (1.5, 2.5):
            seq = flush(table, "A", price_usd)
            assert tail.line() == {"seq": seq, "ticker": "A", "current_price": price_usd}
        tail.process.send_signal(signal.SIGINT)
        out, err = tail.process.communicate(timeout=60)
    assert (tail.process.returncode, out, err) == (0, "", "")


def test_a_reader_who_left_ends_it_quietly(table: Writer, database_url: str, tmp_path: Path) -> None:
    with following(database_url, tmp_path, "--since", "0") as tail:
        tail.line()
        assert tail.process.stdout is not None
        tail.process.stdout.close()
        flush(table, "A", 1.5)
        assert tail.process.wait(60) == 0
        assert tail.process.stderr is not None
        assert tail.process.stderr.read() == ""


def test_a_database_that_is_away_is_said_once_and_waited_for(sqlite_file: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{sqlite_file}"
    with Writer.open(url, service="test", origin="practice", clock=StillClock()) as writer:
        load_universe(writer, [Listing(ticker="A")])
    away = sqlite_file.with_name("away.db")
    with following(url, tmp_path, "--since", "0") as tail:
        assert tail.line()["ticker"] == "A"
        sqlite_file.rename(away)
        assert "is away" in tail.text(tail.process.stderr)
        away.rename(sqlite_file)
        with sqlite3.connect(sqlite_file) as connection:
            connection.execute("UPDATE stocks_stock SET current_price = 3, change_seq = 2")
            connection.execute("UPDATE change_marker SET seq = 2")
        connection.close()
        assert tail.line() == {"seq": 2, "ticker": "A", "current_price": 3.0}
        assert tail.text(tail.process.stderr) == "tickerd: the database is back\n"
