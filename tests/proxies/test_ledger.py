from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from proxies import ledger, pool
from proxies.ledger import Ledger
from proxies.model import Address, Cause, Outcome
from storage.engine import open_reader_engine
from storage.writer import Writer
from tests.fix_storage import NOON, StillClock

FIRST = Address("http", "192.0.2.1", 8080)


@pytest.fixture
def table(sqlite_file: Path) -> Iterator[tuple[Writer, Engine]]:
    url = f"sqlite:///{sqlite_file}"
    engine = open_reader_engine(url, service="test")
    with Writer.open(url, service="test", origin="practice", clock=StillClock()) as writer:
        pool.add(writer, {FIRST: "https://a/"}, at=NOON)
        yield writer, engine
    engine.dispose()


def seen(cause: Cause, address: Address = FIRST) -> Outcome:
    return Outcome(address=address, cause=cause, at=NOON)


async def test_outcomes_are_written_together(table: tuple[Writer, Engine], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "ROWS_A_FLUSH", 2)
    book = Ledger(*table, is_own=lambda _ip: False)
    book.put(seen("ok"))
    await book.flush(at=NOON, full_only=True)
    assert (len(book), pool.load(table[1])[0].ok) == (1, 0), "one is not worth a transaction"
    book.put(seen("ok"))
    await book.flush(at=NOON, full_only=True)
    assert (len(book), pool.load(table[1])[0].ok) == (0, 2)


async def test_one_that_speaks_another_protocol_is_kept_as_what_it_is(table: tuple[Writer, Engine]) -> None:
    book = Ledger(*table, is_own=lambda _ip: False)
    speaks = Address("socks5", FIRST.ip, FIRST.port)
    book.put(seen("ok", speaks), listed_as=FIRST, sources="https://a/")
    await book.flush(at=NOON)
    found = {each.address: (each.state, each.sources) for each in pool.load(table[1])}
    assert found == {FIRST: ("evicted", "https://a/"), speaks: ("live", "https://a/")}


async def test_while_the_database_is_away_nothing_is_lost(table: tuple[Writer, Engine], sqlite_file: Path) -> None:
    book = Ledger(*table, is_own=lambda _ip: False)
    away = sqlite_file.with_name("away.db")
    table[1].dispose()
    sqlite_file.rename(away)
    for cause in ("ok", "timeout"):
        book.put(seen(cause))
        await book.flush(at=NOON)
    assert (len(book), bool(book.away)) == (2, True)
    away.rename(sqlite_file)
    book.put(seen("ok"))
    await book.flush(at=NOON)
    assert (len(book), book.away) == (0, "")
    member = pool.load(table[1])[0]
    assert (member.ok, member.fail, member.state) == (2, 1, "live")


async def test_what_is_kept_meanwhile_is_bounded(table: tuple[Writer, Engine], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "MOST_KEPT", 3)
    book = Ledger(*table, is_own=lambda _ip: False)
    for _ in range(9):
        book.put(seen("ok"))
    assert len(book) == 3
