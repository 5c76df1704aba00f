"""Scanners at work for tests: the practice market, a SQLite file that lists its tickers, settings that join the two.

`stage` is a market in real time, open at any hour; `still_stage` stands at noon of a Monday.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from core import config
from core.clock import Clock, SystemClock
from core.notify import Notifier, parse
from core.settings import Settings
from core.tasks import cancel_all, spawn
from market.sessions import Session
from market.universe import Listing
from net import client
from scanners.context import Context, Work, run_scanner
from simulator import testing
from storage.universe import load_universe
from storage.writer import Writer
from tests.fix_clock import UnhurriedClock

ROOT = Path(__file__).parent.parent
NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
"""Monday, 12:00 in New York."""
MONDAY = Session(
    session_date=NOON.date(),
    opens_at=datetime(2026, 11, 23, 14, 30, tzinfo=UTC),
    closes_at=datetime(2026, 11, 23, 21, 0, tzinfo=UTC),
)
QUICK: dict[str, dict[str, Any]] = {
    "network": {"start_requests_per_s": 1000.0, "max_requests_per_s": 1000.0},
    "prices": {"symbols_per_connection": 3, "flush_interval_s": 0.05, "cycle_s": 60.0, "stall_timeout_s": 1000.0},
}
"""Eight tickers are then three connections."""
PATIENCE_S = 60.0
"""What must come has come by then, however busy the machine: no test fails for being slow."""


class ShiftedClock(UnhurriedClock):
    """Time that began at `now` and runs `speed` times as fast."""

    def __init__(self, now: datetime = NOON, *, speed: float = 1.0) -> None:
        super().__init__(now, monotonic_s=1000.0, speed=speed)


async def eventually(true: Callable[[], Any], *, timeout_s: float = PATIENCE_S) -> Any:
    """Return the first value of `true` that holds; AssertionError if none does in time."""
    clock = SystemClock()
    end_s = clock.monotonic_s() + timeout_s
    while not (value := true()):
        assert clock.monotonic_s() < end_s, "waited in vain"
        await clock.sleep(0.02)
    return value


def changed(settings: Settings, sections: Mapping[str, Mapping[str, Any]]) -> Settings:
    """Return the settings with the keys of these sections replaced."""
    replaced = {name: msgspec.structs.replace(getattr(settings, name), **keys) for name, keys in sections.items()}
    return msgspec.structs.replace(settings, **replaced)


class Supervisor:
    """The socket that a scanner's heartbeats reach; `heard` holds each datagram's fields."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.setblocking(False)
        self.heard: list[dict[str, str]] = []
        self._notifiers: list[Notifier] = []

    def notifier(self) -> Notifier:
        """Return the other end, for a scanner that runs in the test's own process."""
        self._notifiers.append(Notifier(self.path))
        return self._notifiers[-1]

    def drain(self) -> list[dict[str, str]]:
        while True:
            try:
                self.heard.append(parse(self._socket.recv(65_536)))
            except BlockingIOError:
                return self.heard

    def values(self, key: str) -> list[str]:
        """Return what `key` was told to be, each time."""
        return [fields[key] for fields in self.drain() if key in fields]

    def close(self) -> None:
        self._socket.close()
        for notifier in self._notifiers:
            if notifier._socket is not None:  # a process keeps it to its end
                notifier._socket.close()


@dataclass(slots=True, kw_only=True)
class AtWork:
    """A running scanner."""

    context: Context
    task: asyncio.Task[int | None]

    async def stop(self, *, within_s: float = PATIENCE_S) -> int | None:
        """Ask it to stop; return its exit code or raise what it raised."""
        self.context.stop.set()
        return await asyncio.wait_for(asyncio.shield(self.task), within_s)


@dataclass(slots=True, kw_only=True)
class Stage:
    """`file`: the database. `folder` holds everything that a test writes."""

    market: testing.PracticeMarket
    folder: Path
    file: Path
    settings: Settings
    clock: Clock
    tickers: tuple[str, ...] = field(default=testing.SYMBOLS)

    def context(self, name: str, *, once: bool = False, clock: Clock | None = None, **sections: Any) -> Context:
        """Return surroundings for scanner `name`, with the keys of `sections` changed."""
        return Context.build(
            name,
            changed(self.settings, sections),
            asyncio.Event(),
            Notifier(None),
            clock=clock or self.clock,
            once=once,
        )

    @asynccontextmanager
    async def at_work(self, context: Context, work: Work) -> AsyncIterator[AtWork]:
        """Run a scanner beside the test, which stops it or lets it be cancelled."""
        running = spawn(run_scanner(context, work), name="scanner", on_error=lambda _error: None)
        try:
            yield AtWork(context=context, task=running)
        finally:
            context.stop.set()
            await asyncio.wait([running], timeout=PATIENCE_S)
            await cancel_all([running])

    def writer(self, origin: Any = "practice") -> Writer:
        return Writer.open(f"sqlite:///{self.file}", service="test", origin=origin, clock=self.clock)

    def rows(self, statement: str) -> list[dict[str, Any]]:
        """Return what the statement finds, as another program sees it."""
        with closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(statement)]

    def stocks(self, where: str = "1") -> dict[str, dict[str, Any]]:
        return {row["ticker"]: row for row in self.rows(f"SELECT * FROM stocks_stock WHERE {where}")}

    def runs(self, scanner: str) -> list[dict[str, Any]]:
        """Return the recorded runs, oldest first, `detail` decoded."""
        rows = self.rows(f"SELECT * FROM scanner_run WHERE scanner = '{scanner}' ORDER BY id")
        return [row | {"detail": json.loads(row["detail"] or "{}")} for row in rows]

    def coverage(self, group: str) -> list[dict[str, Any]]:
        columns = "fresh, unchanged, no_trade, unknown, total"
        return self.rows(f"SELECT {columns} FROM coverage_minute WHERE field_group = '{group}' ORDER BY minute")

    def priced(self, tickers: Sequence[str] | None = None) -> bool:
        """Whether each ticker has a price."""
        held = self.stocks("current_price IS NOT NULL")
        return set(self.tickers if tickers is None else tickers) <= held.keys()

    def agrees(self) -> bool:
        """Whether every row says what the market last printed: same price, change, percent and second."""
        return all(self._agrees(row) for row in self.stocks().values())

    def _agrees(self, row: Mapping[str, Any]) -> bool:
        true = self.market.market.stocks[row["ticker"]]
        if row["current_price"] != true.price:
            return False
        at = datetime.fromisoformat(row["price_time"]).replace(tzinfo=UTC)
        return (
            int(at.timestamp()) == true.trade_time_s
            and row["price_change"] == pytest.approx(true.change, rel=1e-6, abs=1e-6)
            and row["price_change_percent"] == pytest.approx(true.change_percent, rel=1e-5, abs=1e-6)
        )

    def start(self, module: str, supervisor: Supervisor, **sections: Any) -> subprocess.Popen[bytes]:
        """Start the scanner as the orchestrator does: a process of its own, given settings and a socket."""
        given = self.folder / "settings.json"
        given.write_bytes(config.dump(changed(self.settings, sections)))
        inherited = {name: text for name, text in os.environ.items() if not name.startswith("TICKERD_")}
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "core.child", module],
            cwd=self.folder,
            env=inherited | {"PYTHONPATH": str(ROOT), "TICKERD_SETTINGS": str(given), "NOTIFY_SOCKET": supervisor.path},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )


def staged(
    market: testing.PracticeMarket,
    folder: Path,
    file: Path,
    *,
    clock: Clock,
    calendar: str = "always",
    tickers: Sequence[str] = testing.SYMBOLS,
) -> Stage:
    """List `tickers` in the database and point the settings at the market."""
    network = {"proxy": market.proxy_url, "ca_file": str(market.ca_file)}
    base = changed(
        Settings(),
        {
            "state": {"dir": str(folder / "state")},
            "database": {"url": f"sqlite:///{file}"},
            "network": network,
            "market": {"calendar": calendar},
        },
    )
    with Writer.open(f"sqlite:///{file}", service="test", origin=None, clock=clock) as writer:
        load_universe(writer, [Listing(ticker=ticker) for ticker in tickers])
    return Stage(
        market=market,
        folder=folder,
        file=file,
        settings=changed(base, QUICK),
        clock=clock,
        tickers=tuple(tickers),
    )


@pytest.fixture
def patient_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Yahoo is in this process: when that has no time, no answer is late."""
    monkeypatch.setattr(client, "CONNECT_TIMEOUT_S", PATIENCE_S)
    monkeypatch.setattr(client, "TOTAL_TIMEOUT_S", 2 * PATIENCE_S)


@pytest.fixture
def patient_crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for the fleet's proxies; not where one of them is to keep silent."""
    limits = client.CrowdClient.get.__kwdefaults__
    assert limits is not None
    monkeypatch.setitem(limits, "connect_s", PATIENCE_S)
    monkeypatch.setitem(limits, "total_s", 2 * PATIENCE_S)


@pytest_asyncio.fixture
async def stage(
    practice_market: testing.PracticeMarket,
    market_clock: UnhurriedClock,
    patient_client: None,
    tmp_path: Path,
    sqlite_file: Path,
) -> AsyncIterator[Stage]:
    """Eight tickers that trade in real time, day and night; the scanner has the market's clock."""
    yield staged(practice_market, tmp_path, sqlite_file, clock=market_clock)


@pytest_asyncio.fixture
async def still_stage(
    still_market: testing.PracticeMarket, patient_client: None, tmp_path: Path, sqlite_file: Path
) -> AsyncIterator[Stage]:
    """The same at noon of a Monday: only `market.server.advance` moves a price. The scanner's own clock runs on."""
    yield staged(still_market, tmp_path, sqlite_file, clock=ShiftedClock(), calendar="XNYS")


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    listening = Supervisor(tmp_path)
    yield listening
    listening.close()
