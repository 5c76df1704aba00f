from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select

from core.errors import FixByHand
from core.settings import Database, Proxies, Settings
from market.universe import Listing
from storage import archive, schema_version
from storage.archive import Facts, Manifest, unpack
from storage.backup import back_up
from storage.coverage import CoverageCounts, write_coverage_minute
from storage.daily_bars import DailyBar, write_daily_bars
from storage.engine import open_reader_engine
from storage.prices import PriceRow, flush_prices
from storage.restore import restore_database, restore_folder
from storage.runs import start_run
from storage.schema import METADATA, VIEWS
from storage.universe import load_universe
from storage.writer import Writer
from tests.fix_storage import NOON, OPENS_AT, StillClock


@pytest.fixture
def saved(database_url: str, writer: Writer, tmp_path: Path) -> Path:
    """A backup of a database with something in every kind of column."""
    load_universe(writer, [Listing(ticker=ticker, company_name="Nan's") for ticker in ("NA", "NAN")])
    row = PriceRow(ticker="NAN", price_usd=0.1 + 0.2, price_time=OPENS_AT, change=None)
    flush_prices(writer, [row], price_source="stream", session_opens_at=OPENS_AT)
    bar = DailyBar(
        ticker="NA",
        session_date=date(2026, 11, 23),
        open=1,
        high=1,
        low=1,
        close=1,
        adj_close=None,
        volume=5,
        source="q",
    )
    write_daily_bars(writer, [bar])
    counts = CoverageCounts(fresh=1, unchanged=0, no_trade=0, unknown=4, total=5)
    write_coverage_minute(writer, NOON, "price", counts)
    start_run(writer, scanner="prices", session_date=date(2026, 11, 23), expected=5, at=NOON)
    (tmp_path / "proxies.txt").write_text("1.2.3.4:80\n")
    (tmp_path / "my.toml").write_text("# mine")
    settings = Settings(database=Database(url=database_url), proxies=Proxies(file=str(tmp_path / "proxies.txt")))
    return back_up(settings, config_file=tmp_path / "my.toml", at=NOON, folder=tmp_path / "b", keep=None).file


def rows_of(url: str) -> dict[str, list[tuple[object, ...]]]:
    engine = open_reader_engine(url, service="test")
    with engine.connect() as connection:
        rows = {
            name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for name, table in METADATA.tables.items()
        }
        for view in VIEWS:
            connection.exec_driver_sql(f"SELECT * FROM {view}").all()
    engine.dispose()
    return rows


def test_every_row_of_every_table_comes_back(saved: Path, database_url: str, empty_url: str) -> None:
    manifest = restore_database(saved, empty_url)
    assert rows_of(empty_url) == rows_of(database_url)
    assert manifest.database.counts["stocks_stock"] == 5
    assert schema_version.check(empty_url).state == "current"


def test_what_came_back_can_be_written_on(saved: Path, empty_url: str) -> None:
    """Identity columns go on counting where they were."""
    restore_database(saved, empty_url)
    with Writer.open(empty_url, service="test", origin="practice", clock=StillClock()) as writer:
        load_universe(writer, [Listing(ticker="NEW")])
        start_run(writer, scanner="daily", session_date=date(2026, 11, 23), expected=6, at=NOON)
    rows = rows_of(empty_url)
    assert len({row[0] for row in rows["stocks_stock"]}) == 6
    assert len({row[0] for row in rows["scanner_run"]}) == 2


def test_a_schema_taken_back_to_nothing_is_an_empty_place(saved: Path, database_url: str) -> None:
    before = rows_of(database_url)
    schema_version.downgrade(database_url, "base")
    if database_url.startswith("sqlite"):
        for file in Path(database_url.removeprefix("sqlite:///")).parent.glob("tickerd.db*"):
            file.unlink()
    restore_database(saved, database_url)
    assert rows_of(database_url) == before


def test_a_place_that_holds_something_is_refused_and_not_touched(saved: Path, database_url: str) -> None:
    before = rows_of(database_url)
    with pytest.raises(FixByHand, match="a restore overwrites nothing"):
        restore_database(saved, database_url)
    assert rows_of(database_url) == before


@pytest.mark.parametrize("ending", ["-wal", "-shm", "-journal"])
def test_a_log_left_of_another_sqlite_file_is_refused(
    sqlite_file: Path, still_clock: StillClock, tmp_path: Path, ending: str
) -> None:
    settings = Settings(database=Database(url=f"sqlite:///{sqlite_file}"))
    made = back_up(settings, config_file=None, at=NOON, folder=tmp_path / "b", keep=None)
    (tmp_path / f"new.db{ending}").touch()
    with pytest.raises(FixByHand, match=f"new.db{ending}: exists, and a restore overwrites nothing"):
        restore_database(made.file, f"sqlite:///{tmp_path / 'new.db'}")
    assert not (tmp_path / "new.db").exists()


def test_a_folder_gets_configuration_and_proxies_too(
    saved: Path, database_url: str, empty_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "new" / "place"
    manifest, url = restore_folder(saved, folder, empty_url)
    assert (folder / "config.toml").read_text() == "# mine"
    assert (folder / "http_proxies.txt").read_text() == "1.2.3.4:80\n"
    assert (folder / "config.toml").stat().st_mode & 0o777 == 0o600
    in_folder = manifest.kind == "sqlite"
    assert url == (f"sqlite:///{folder / 'tickerd.db'}" if in_folder else empty_url)
    kept = {"config.toml", "http_proxies.txt"} | ({"tickerd.db", "tickerd.db.lock"} if in_folder else set())
    assert set(os.listdir(folder)) == kept
    assert rows_of(url) == rows_of(database_url)


def test_a_folder_that_is_not_empty_is_refused(saved: Path, empty_url: str, tmp_path: Path) -> None:
    with pytest.raises(FixByHand, match="is not an empty folder"):
        restore_folder(saved, tmp_path, empty_url)


def test_a_damaged_backup_leaves_nothing_behind(saved: Path, empty_url: str) -> None:
    os.truncate(saved, saved.stat().st_size // 2)
    with pytest.raises(FixByHand, match="is damaged or no backup"):
        restore_database(saved, empty_url)
    assert schema_version.check(empty_url).state == "empty"


def test_a_backup_of_the_other_kind_of_database_is_refused(saved: Path, database_url: str, tmp_path: Path) -> None:
    is_sqlite = database_url.startswith("sqlite")
    other = "postgresql+psycopg://nobody@/none" if is_sqlite else f"sqlite:///{tmp_path / 'x.db'}"
    with pytest.raises(FixByHand, match=r"is a backup of .*, not of"):
        restore_database(saved, other)


def repacked(saved: Path, change: Callable[[Facts], Facts]) -> Path:
    """The same backup with another word on what its database holds."""
    folder = saved.parent / "again"
    folder.mkdir()
    manifest: Manifest = unpack(saved, folder)
    files = {name: folder / name for name in manifest.files}
    target = saved.with_name("changed.tar")
    archive.pack(target, files, program="9.9", at=NOON, kind=manifest.kind, facts=change(manifest.database))
    return target


def test_a_backup_of_a_newer_schema_names_the_program_that_can_read_it(saved: Path, empty_url: str) -> None:
    newer = repacked(saved, lambda facts: msgspec.structs.replace(facts, schema="0815"))
    with pytest.raises(FixByHand, match=r"has schema 0815, this program knows \d{4}; install tickerd 9\.9 or newer"):
        restore_database(newer, empty_url)
    assert schema_version.check(empty_url).state == "empty"


def test_a_database_that_is_not_the_one_in_the_manifest_is_refused(saved: Path, empty_url: str) -> None:
    wrong = repacked(saved, lambda facts: msgspec.structs.replace(facts, origin="live"))
    with pytest.raises(FixByHand, match=r"its database has the origin practice, not live"):
        restore_database(wrong, empty_url)
