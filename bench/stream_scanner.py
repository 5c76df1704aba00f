"""The shipped price scanner as a process of its own, for `bench.stream`, and what is seen of it from outside."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import psutil

from bench.flight import cpu_s
from bench.processes import peak_mb
from core import config
from core.child import PARENT_VARIABLE
from core.clock import SystemClock, pause
from core.settings import Database, Network, Prices, Settings, State, Universe
from core.settings import Market as MarketSettings
from market.universe import FIXED_8782
from storage.prepare import prepare

SHIPPED = "scanners.prices"
STOP_S = 10.0
LATEST_S = 60.0
"""Nothing that is waited for takes longer."""


class Scanner:
    """One scanner with a folder and a database of its own."""

    def __init__(self, folder: Path, child: subprocess.Popen[bytes], began_s: float) -> None:
        self.folder, self.file, self.began_s = folder, folder / "tickerd.db", began_s
        self._child = child
        self.process = psutil.Process(child.pid)

    def cpu_s(self) -> float:
        return cpu_s(self.process)

    def peak_mb(self) -> float:
        return peak_mb(self.process.pid)

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        """Return what another program finds in the table."""
        with closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True)) as connection:
            return connection.execute(statement).fetchall()

    def priced(self) -> int:
        return int(self.ask("SELECT count(current_price) FROM stocks_stock")[0][0])

    def table(self) -> dict[str, tuple[float, int]]:
        """Return ticker -> price and second of its trade."""
        rows = self.ask("SELECT ticker, current_price, price_time FROM stocks_stock WHERE current_price IS NOT NULL")
        return {ticker: (price, second_of(at)) for ticker, price, at in rows}

    def wait_until_priced(self, count: int) -> float:
        """Return how many seconds after its start so many tickers had a price."""
        clock = SystemClock()
        while self.priced() < count:
            if self._child.poll() is not None or clock.monotonic_s() - self.began_s > LATEST_S:
                raise RuntimeError(f"{self.priced()} of {count} tickers priced; see {self.folder / 'log'}")
            pause(0.02)
        return clock.monotonic_s() - self.began_s

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the lines of its log that tell this event."""
        lines = (json.loads(line) for line in (self.folder / "log").read_bytes().splitlines() if line[:1] == b"{")
        return [line for line in lines if line.get("message") == name]

    def stop(self) -> None:
        self._child.send_signal(signal.SIGTERM)
        self._child.wait(STOP_S)


def second_of(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


class Upstream(Protocol):
    """The practice market, as a client needs it."""

    proxy_url: str
    ca_file: Path


def prepared(folder: Path, market: Upstream, prices: Mapping[str, Any]) -> Path:
    """Write settings, and a table that lists the 8,782 tickers; return the settings' file."""
    folder.mkdir(parents=True)
    settings = Settings(
        state=State(dir=str(folder)),
        database=Database(url=f"sqlite:///{folder}/tickerd.db"),
        network=Network(proxy=market.proxy_url, ca_file=str(market.ca_file)),
        market=MarketSettings(calendar="always"),
        universe=Universe(file=str(FIXED_8782)),
        prices=Prices(**prices),
    )
    prepare(settings)
    file = folder / "settings.json"
    file.write_bytes(config.dump(settings))
    return file


@contextmanager
def scanning(
    folder: Path, market: Upstream, prices: Mapping[str, Any] | None = None, *, module: str = SHIPPED
) -> Iterator[Scanner]:
    """Run the scanner as the orchestrator starts it; `prices`: its section of the settings."""
    file = prepared(folder, market, prices or {})
    given = {"TICKERD_SETTINGS": str(file), "PYTHONPATH": os.getcwd(), PARENT_VARIABLE: str(os.getpid())}
    command = [sys.executable, "-P", "-m", "core.child", module]
    began_s = SystemClock().monotonic_s()
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(command, env=os.environ | given, stdout=subprocess.DEVNULL, stderr=log)
    try:
        yield Scanner(folder, child, began_s)
    finally:
        child.kill()
        child.wait()
