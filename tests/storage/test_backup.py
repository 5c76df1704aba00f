from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from core import config
from core.errors import FixByHand, RetryLater
from core.files import FileLock
from core.settings import Backup, Database, Proxies, Settings
from market.universe import Listing
from storage.archive import unpack
from storage.backup import back_up, check_copy, is_made, prune
from storage.daily_bars import DailyBar, write_daily_bars
from storage.engine import open_reader_engine
from storage.restore import restore_database
from storage.schema import METADATA
from storage.universe import load_universe
from storage.writer import Writer
from tests.fix_storage import NOON, OPENS_AT

ROOT = Path(__file__).parents[2]


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(
        database=Database(url=database_url),
        proxies=Proxies(file=str(tmp_path / "mine.txt")),
        backup=Backup(dir=str(tmp_path / "backups"), keep=2),
    )


def made_of(settings: Settings, folder: Path, *, day: int = 0, keep: int | None = None) -> Path:
    at = NOON + timedelta(days=day)
    return back_up(settings, config_file=None, at=at, folder=folder, keep=keep).file


def test_a_backup_holds_database_configuration_and_proxies(settings: Settings, writer: Writer, tmp_path: Path) -> None:
    bar = DailyBar(
        ticker="A",
        session_date=OPENS_AT.date(),
        open=1,
        high=1,
        low=1,
        close=1,
        adj_close=None,
        volume=0,
        source="quote",
    )
    write_daily_bars(writer, [bar])
    (tmp_path / "tickerd.toml").write_text("# mine")
    (tmp_path / "mine.txt").write_text("1.2.3.4:80\n")
    made = back_up(settings, config_file=tmp_path / "tickerd.toml", at=NOON, folder=tmp_path / "b", keep=None)
    assert made.file == tmp_path / "b" / "tickerd-20261123T170000Z.tar"
    assert sorted(os.listdir(tmp_path / "b")) == [".lock", made.file.name], "no half file stays"
    (tmp_path / "out").mkdir()
    manifest = unpack(made.file, tmp_path / "out")
    assert (tmp_path / "out" / "config.toml").read_text() == "# mine"
    assert (tmp_path / "out" / "http_proxies.txt").read_text() == "1.2.3.4:80\n"
    held = manifest.database
    assert (held.schema, held.origin, held.counts["stocks_stock"], held.counts["stocks_daily_bar"]) == (
        "0006",
        "practice",
        3,
        1,
    )
    assert set(held.counts) == set(METADATA.tables)


def test_without_configuration_file_and_proxies_the_database_alone_is_saved(
    settings: Settings, writer: Writer, tmp_path: Path
) -> None:
    made = back_up(settings, config_file=None, at=NOON, folder=tmp_path / "b", keep=None)
    assert len(made.manifest.files) == 1


def test_only_the_newest_so_many_stay_and_foreign_files_are_left_alone(
    settings: Settings, writer: Writer, tmp_path: Path
) -> None:
    folder = tmp_path / "b"
    files = [made_of(settings, folder, day=day) for day in (0, 2, 1)]
    (folder / "tickerd-notes.tar").touch()
    assert prune(folder, 2) == (files[0],)
    assert files[1].exists()
    assert files[2].exists()
    newest = back_up(settings, config_file=None, at=NOON + timedelta(days=3), folder=folder, keep=1)
    assert newest.removed == (files[1], files[2])
    assert (folder / "tickerd-notes.tar").exists()


def test_what_a_killed_backup_left_is_removed(settings: Settings, writer: Writer, tmp_path: Path) -> None:
    left = tmp_path / "b" / ".tickerd-backup-x"
    left.mkdir(parents=True)
    (left / "database.db").touch()
    made_of(settings, tmp_path / "b")
    assert not left.exists()


def test_a_second_backup_at_the_same_time_is_asked_to_come_later(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    with FileLock(tmp_path / "b" / ".lock"), pytest.raises(RetryLater, match="a backup already runs"):
        made_of(settings, tmp_path / "b")


def test_a_database_without_tables_is_no_thing_to_save(tmp_path: Path) -> None:
    settings = Settings(database=Database(url=f"sqlite:///{tmp_path / 'none.db'}"))
    with pytest.raises(FixByHand, match="holds no tables yet"):
        made_of(settings, tmp_path / "b")


def test_a_damaged_copy_is_refused(sqlite_file: Path) -> None:
    content = bytearray(sqlite_file.read_bytes())
    content[3 * 4096 : 4 * 4096] = b"x" * 4096
    sqlite_file.write_bytes(content)
    with pytest.raises(FixByHand, match="damaged"):
        check_copy(sqlite_file)


WRITE_ON_AND_ON = """
import sys
from datetime import timedelta
from core import logs
from core.clock import SystemClock
from storage.prices import PriceRow, flush_prices
from storage.writer import Writer
clock = SystemClock()
logs.configure(service="test", level="error", style="json")
opens_at = clock.utc_now() - timedelta(hours=1)
with Writer.open(sys.argv[1], service="test", origin="practice", clock=clock) as writer:
    for number in range(1, 1_000_000):
        rows = [PriceRow(ticker=f"T{i}", price_usd=float(number), price_time=clock.utc_now()) for i in range(500)]
        result = flush_prices(writer, rows, price_source="stream", session_opens_at=opens_at)
        print(result.seq, flush=True)
"""


def test_a_backup_taken_while_a_process_writes_is_the_table_between_two_flushes(
    settings: Settings, database_url: str, empty_url: str, writer: Writer, tmp_path: Path
) -> None:
    load_universe(writer, [Listing(ticker=f"T{number}") for number in range(500)])
    command = [sys.executable, "-c", WRITE_ON_AND_ON, database_url]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        acknowledged = [int(process.stdout.readline()) for _ in range(3)]
        made = back_up(settings, config_file=None, at=NOON, folder=tmp_path / "b", keep=None)
        after = [int(process.stdout.readline()) for _ in range(3)]
    finally:
        process.kill()
        process.communicate()
    assert acknowledged[-1] <= made.manifest.database.seq <= after[-1] + 100
    restore_database(made.file, empty_url)
    engine = open_reader_engine(empty_url, service="test")
    with engine.connect() as connection:
        query = "SELECT DISTINCT change_seq, current_price FROM stocks_stock WHERE ticker LIKE 'T%'"
        found = connection.execute(text(query)).all()
    engine.dispose()
    assert len(found) == 1, "no half flush"
    assert found[0].change_seq == made.manifest.database.seq


def test_as_a_process_of_its_own_it_does_what_the_settings_ask(
    settings: Settings, writer: Writer, tmp_path: Path
) -> None:
    (tmp_path / "settings.json").write_bytes(config.dump(settings))
    (tmp_path / "config.toml").write_text("# mine")
    environ = os.environ | {
        "TICKERD_SETTINGS": str(tmp_path / "settings.json"),
        "TICKERD_CONFIG": str(tmp_path / "config.toml"),
    }
    command = [sys.executable, "-P", "-m", "storage.backup"]
    (tmp_path / "backups").mkdir()
    for day in ("20260101", "20260102"):
        (tmp_path / "backups" / f"tickerd-{day}T000000Z.tar").touch()
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    files = sorted(file.name for file in (tmp_path / "backups").glob("*.tar"))
    assert files[0] == "tickerd-20260102T000000Z.tar"
    assert len(files) == 2
    said = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["message"] for line in said][-2:] == ["backup_written", "old_backups_removed"]
    (tmp_path / "out").mkdir()
    assert "config.toml" in unpack(tmp_path / "backups" / files[-1], tmp_path / "out").files


def test_a_backup_made_since_it_was_due_is_not_made_again(tmp_path: Path) -> None:
    """18:30 in New York is 23:30 UTC."""
    settings = Settings(backup=Backup(enabled=True, at="18:30", dir=str(tmp_path)))
    (tmp_path / "tickerd-20261123T233100Z.tar").touch()
    made = [is_made(settings, datetime(2026, 11, day, hour, tzinfo=UTC)) for day, hour in ((24, 0), (24, 23), (25, 0))]
    assert made == [True, True, False]
