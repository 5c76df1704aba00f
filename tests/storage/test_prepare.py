from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from core.config import dump
from core.errors import FixByHand
from core.settings import Database, Settings, Universe
from market.universe import BUNDLED_UNIVERSE
from storage import schema_version
from storage.engine import open_reader_engine, warn_of_wal_reset_bug
from storage.prepare import prepare
from storage.reader import read_origin
from storage.universe import read_tickers

ROOT = Path(__file__).parents[2]


@pytest.fixture
def listing(tmp_path: Path) -> Path:
    file = tmp_path / "mine.csv"
    file.write_text("symbol,name,type\nAAPL,Apple,Common\nSPY,SPDR,ETF\nBRK.B,Berkshire,Common\n")
    return file


def settings_for(folder: Path, *, auto_upgrade: bool | None = None, **universe: Any) -> Settings:
    database = Database(url=f"sqlite:///{folder}/tickerd.db", auto_upgrade=auto_upgrade)
    return Settings(database=database, universe=Universe(**universe))


def tickers(settings: Settings) -> list[str]:
    engine = open_reader_engine(settings.database.url, service="test")
    found = [row.ticker for row in read_tickers(engine)]
    engine.dispose()
    return found


def test_a_new_database_gets_its_schema_and_the_bundled_list(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, limit=50)
    prepare(settings)
    assert schema_version.check(settings.database.url).state == "current"
    with BUNDLED_UNIVERSE.open() as file:
        first = [next(file).split(",")[0] for _ in range(51)][1:]
    assert tickers(settings) == sorted(first)


def test_it_does_not_decide_the_origin(tmp_path: Path, listing: Path) -> None:
    settings = settings_for(tmp_path, file=str(listing))
    prepare(settings)
    engine = open_reader_engine(settings.database.url, service="test")
    assert read_origin(engine) is None
    engine.dispose()


def test_an_own_list_is_taken_with_facts_from_the_bundled_one(tmp_path: Path, listing: Path) -> None:
    settings = settings_for(tmp_path, file=str(listing), include_etfs=False)
    prepare(settings)
    assert tickers(settings) == ["AAPL", "BRK-B"]
    with sqlite3.connect(tmp_path / "tickerd.db") as connection:
        row = connection.execute("SELECT company_name, sector FROM stocks_stock WHERE ticker = 'AAPL'").fetchone()
    connection.close()
    assert row == ("Apple", "Technology")


def test_a_list_that_has_not_changed_is_not_loaded_again(tmp_path: Path, listing: Path) -> None:
    settings = settings_for(tmp_path, file=str(listing))
    prepare(settings)
    with sqlite3.connect(tmp_path / "tickerd.db") as connection:
        connection.execute("UPDATE stocks_stock SET is_listed = FALSE WHERE ticker = 'SPY'")
    connection.close()
    prepare(settings)
    assert tickers(settings) == ["AAPL", "BRK-B"]


def test_a_changed_list_or_selection_is_loaded_and_what_left_it_is_unlisted(tmp_path: Path, listing: Path) -> None:
    prepare(settings_for(tmp_path, file=str(listing)))
    listing.write_text("SPY\nMSFT\n")
    settings = settings_for(tmp_path, file=str(listing))
    prepare(settings)
    assert tickers(settings) == ["MSFT", "SPY"]
    settings = settings_for(tmp_path, file=str(listing), limit=1)
    prepare(settings)
    assert tickers(settings) == ["SPY"]


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundled list of a release of its own."""
    file = tmp_path / "bundled.csv"
    file.write_text("symbol,name,type\nAAPL,Apple Inc.,Common\nF,Ford,Common\nSPY,SPDR,ETF\n")
    monkeypatch.setattr("storage.prepare.BUNDLED_UNIVERSE", file)
    return file


def found_by_the_sources(folder: Path) -> None:
    """A look at the sources has found NEW, and F missing for too long."""
    with sqlite3.connect(folder / "tickerd.db") as connection:
        connection.execute("UPDATE stocks_stock SET is_listed = 0, missing_since = '2026-11-02' WHERE ticker = 'F'")
        connection.execute("INSERT INTO stocks_stock (ticker, listed_by) VALUES ('NEW', 'sources')")
    connection.close()


def test_a_newer_release_s_list_takes_back_nothing_that_the_sources_told(tmp_path: Path, bundled: Path) -> None:
    settings = settings_for(tmp_path)
    prepare(settings)
    found_by_the_sources(tmp_path)
    bundled.write_text("symbol,name,type\nAAPL,Apple Inc.,Common\nF,Ford,Common\nMSFT,Microsoft,Common\n")
    prepare(settings)
    assert tickers(settings) == ["AAPL", "MSFT", "NEW"], "SPY left the list and nobody else had it"


def test_another_choice_begins_anew(tmp_path: Path, bundled: Path) -> None:
    prepare(settings_for(tmp_path))
    found_by_the_sources(tmp_path)
    settings = settings_for(tmp_path, include_etfs=False)
    prepare(settings)
    assert tickers(settings) == ["AAPL", "F"]


def test_whose_list_a_ticker_is_of_and_of_what_type_is_noted(tmp_path: Path, bundled: Path, listing: Path) -> None:
    prepare(settings_for(tmp_path))
    prepare(settings_for(tmp_path, file=str(listing)))
    with sqlite3.connect(tmp_path / "tickerd.db") as connection:
        sql = "SELECT ticker, listed_by, security_type FROM stocks_stock WHERE ticker IN ('AAPL', 'F') ORDER BY 1"
        rows = connection.execute(sql).fetchall()
    connection.close()
    assert rows == [("AAPL", "user", "Common"), ("F", "bundled", "Common")]


def test_a_selection_that_leaves_nothing_is_refused(tmp_path: Path, listing: Path) -> None:
    listing.write_text("symbol,type\nSPY,ETF\n")
    with pytest.raises(FixByHand, match=r"mine\.csv: universe\.include_etfs: leaves no ticker"):
        prepare(settings_for(tmp_path, file=str(listing), include_etfs=False))


def test_without_leave_to_upgrade_the_command_is_named_and_nothing_made(tmp_path: Path) -> None:
    with pytest.raises(FixByHand, match="run `tickerd db upgrade`"):
        prepare(settings_for(tmp_path, auto_upgrade=False))
    assert list(tmp_path.iterdir()) == []


def test_postgresql_is_upgraded_only_on_request(postgresql_url: str) -> None:
    schema_version.downgrade(postgresql_url, "base")
    with pytest.raises(FixByHand, match="run `tickerd db upgrade`"):
        prepare(Settings(database=Database(url=postgresql_url)))
    prepare(Settings(database=Database(url=postgresql_url, auto_upgrade=True), universe=Universe(limit=5)))
    assert len(tickers(Settings(database=Database(url=postgresql_url)))) == 5


def test_a_newer_schema_is_refused_by_name(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, limit=5)
    prepare(settings)
    with sqlite3.connect(tmp_path / "tickerd.db") as connection:
        connection.execute("UPDATE tickerd_schema SET version_num = '9999'")
    connection.close()
    with pytest.raises(FixByHand, match=r"has schema 9999, this program knows \d+; install the newer tickerd"):
        prepare(settings)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_wal_reset_bug_is_said_once_a_start_and_only_of_a_file(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.prepare.warn_of_wal_reset_bug", lambda: warn_of_wal_reset_bug((3, 40, 1)))
    settings = settings_for(tmp_path, limit=5)
    if kind == "postgresql":
        database = Database(url=request.getfixturevalue("postgresql_url"))
        settings = Settings(database=database, universe=Universe(limit=5))
    with capture_logs() as logs:
        prepare(settings)
    warned = [entry for entry in logs if entry["event"] == "sqlite_wal_reset_bug_present"]
    assert len(warned) == (kind == "sqlite")


def run_it(folder: Path, settings: Settings) -> subprocess.CompletedProcess[str]:
    dumped = folder / "settings.json"
    dumped.write_bytes(dump(settings))
    environ = os.environ | {"TICKERD_SETTINGS": str(dumped), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-P", "-m", "storage.prepare"]
    return subprocess.run(command, env=environ, cwd="/", capture_output=True, text=True, timeout=60)


def test_as_a_process_it_says_what_it_did_and_names_each_refused_line(tmp_path: Path, listing: Path) -> None:
    listing.write_text("AAPL\n" + "\n".join(f"!bad{number}" for number in range(25)))
    done = run_it(tmp_path, settings_for(tmp_path, file=str(listing)))
    said = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.returncode == 0, done.stderr
    refused = [event for event in said if event["message"] == "universe_line_refused"]
    assert [event["line"] for event in refused] == list(range(2, 22))
    assert [event["lines"] for event in said if event["message"] == "universe_lines_refused"] == [25]
    prepared = said[-1]
    assert (prepared["message"], prepared["tickers_added"], prepared["tickers_listed"]) == ("database_prepared", 1, 1)


def test_as_a_process_it_ends_with_78_and_one_line_for_a_foreign_database(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "tickerd.db") as connection:
        connection.execute("CREATE TABLE customers (id INTEGER)")
    connection.close()
    done = run_it(tmp_path, settings_for(tmp_path))
    assert done.returncode == 78
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"tickerd: {tmp_path}/tickerd.db: holds tables of another application; set database.url")


def test_as_a_process_it_ends_with_75_while_the_database_is_locked(tmp_path: Path) -> None:
    prepare(settings_for(tmp_path, limit=5))
    holder = sqlite3.connect(tmp_path / "tickerd.db", isolation_level=None)
    holder.execute("PRAGMA locking_mode=EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    holder.execute("CREATE TABLE held (id INTEGER)")
    done = run_it(tmp_path, settings_for(tmp_path, limit=6))
    holder.close()
    assert done.returncode == 75
    assert "is locked by another program" in done.stderr.splitlines()[-1]
