"""A practice market, a database that lists its tickers and the shipped scanner as a process, for `bench.daily`."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.clock import SystemClock
from market.universe import Listing
from simulator import testing
from simulator.world import listings
from storage.universe import load_universe
from storage.writer import Writer

ROOT = Path(__file__).parent.parent
CONFIG = """
[network]
proxy = "{proxy}"
ca_file = "{ca_file}"
start_requests_per_s = {start_per_s}
max_requests_per_s = {max_per_s}
[state]
dir = "state"
[database]
url = "sqlite:///tickerd.db"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """`tickers` are listed in the database of `folder`."""

    market: testing.PracticeProcess
    folder: Path
    tickers: Sequence[str]

    def command(self) -> list[str]:
        config = str(self.folder / "config.toml")
        return [sys.executable, "-P", "-m", "cli.main", "scanner", "daily", "--config", config]

    def start(self) -> subprocess.Popen[bytes]:
        """Start the scanner as a person does by hand; its log goes to daily.log."""
        inherited = {name: text for name, text in os.environ.items() if not name.startswith("TICKERD_")}
        with (self.folder / "daily.log").open("ab") as log:
            return subprocess.Popen(
                self.command(), env=inherited | {"PYTHONPATH": str(ROOT)}, stdout=log, stderr=subprocess.STDOUT
            )

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{self.folder / 'tickerd.db'}?mode=ro", uri=True, timeout=30)) as connection:
            return connection.execute(statement).fetchall()

    def newest_run(self) -> dict[str, Any]:
        """Return how the last run of the scanner ended."""
        ((status, expected, updated, failed, skipped, detail),) = self.rows(
            "SELECT status, expected, updated, failed, skipped, detail FROM scanner_run WHERE scanner = 'daily'"
            " ORDER BY id DESC LIMIT 1"
        )
        counts = {"expected": expected, "updated": updated, "failed": failed, "skipped": skipped}
        return {"status": status, **counts, "detail": json.loads(detail or "{}")}

    def another_night(self) -> None:
        """Forget that the session was refreshed, but not what it brought: as it is a session later."""
        with closing(sqlite3.connect(self.folder / "tickerd.db")) as connection:
            connection.execute("DELETE FROM scanner_run WHERE scanner = 'daily'")
            connection.execute("UPDATE daily_progress SET session = date(session, '-1 day'), quote = NULL")
            connection.commit()


@contextmanager
def practice(tickers: int, *, start_per_s: float, max_per_s: float, arguments: Sequence[str] = ()) -> Iterator[Bench]:
    """Run the market of the real calendar: best on a day off, when its quotes are those of the session that is due."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        chosen = [each.symbol for each in listings.bundled()][:: len(listings.bundled()) // tickers][:tickers]
        (folder / "universe.txt").write_text("\n".join(chosen), encoding="utf-8")
        given = ("--calendar", "XNYS", "--universe", str(folder / "universe.txt"))
        with testing.process(folder, *given, *arguments) as market:
            rates = {"start_per_s": start_per_s, "max_per_s": max_per_s}
            text = CONFIG.format(proxy=market.proxy_url, ca_file=market.ca_file, **rates)
            (folder / "config.toml").write_text(text, encoding="utf-8")
            _fill(folder, chosen)
            yield Bench(market=market, folder=folder, tickers=chosen)


def _fill(folder: Path, tickers: Sequence[str]) -> None:
    config = str(folder / "config.toml")
    upgrade = [sys.executable, "-P", "-m", "cli.main", "db", "upgrade", "--config", config]
    subprocess.run(upgrade, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL)
    with Writer.open(f"sqlite:///{folder / 'tickerd.db'}", service="bench", origin=None, clock=SystemClock()) as writer:
        load_universe(writer, [Listing(ticker=each) for each in tickers])
