from __future__ import annotations

import csv
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyarrow import parquet

from market.universe import Listing
from storage import schema_version
from storage.universe import load_universe
from storage.writer import Writer
from tests.fix_cli import COMMAND, TIME, Run, clean_environ
from tests.fix_storage import StillClock


@pytest.fixture
def at_table(here: Run, database_url: str, monkeypatch: pytest.MonkeyPatch, still_clock: StillClock) -> Iterator[Run]:
    """Runs commands that find a table of NA and NAN."""
    with Writer.open(database_url, service="test", origin="practice", clock=still_clock) as writer:
        load_universe(writer, [Listing(ticker=ticker) for ticker in ("NA", "NAN")])
    monkeypatch.setenv("TICKERD_DATABASE__URL", database_url)
    yield here


def test_a_backup_goes_to_the_folder_of_the_settings_and_comes_back(
    at_table: Run, empty_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    document = at_table("db", "backup", "--json").json()
    assert document.keys() == {"version", "file", "created_at", "database", "removed"}
    assert Path(document["file"]).parent == tmp_path / "backups"
    assert TIME.fullmatch(document["created_at"])
    assert document["database"].keys() == {"schema", "origin", "seq", "counts"}
    assert (document["database"]["counts"]["stocks_stock"], document["removed"]) == (2, [])

    monkeypatch.setenv("TICKERD_DATABASE__URL", empty_url)
    restored = at_table("db", "restore", document["file"], "--json").json()
    assert restored.keys() == {"version", "database", "schema", "origin", "counts"}
    assert restored["counts"] == document["database"]["counts"]
    assert at_table("universe", "list").out == "NA\nNAN\n"


def test_a_restore_to_a_folder_brings_the_configuration_too(
    at_table: Run, empty_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config.toml").write_text("[prices]\ncycle_s = 61.0\n")
    file = at_table("db", "backup", "--to", "saved", "--json").json()["file"]
    monkeypatch.setenv("TICKERD_DATABASE__URL", empty_url)
    ended = at_table("db", "restore", file, "--to", "new")
    assert (ended.code, ended.err) == (0, "")
    assert " rows as of 20" in ended.out
    assert (tmp_path / "new" / "config.toml").read_text() == "[prices]\ncycle_s = 61.0\n"
    at_table("db", "restore", file, "--to", "new").fails(78, "new: is not an empty folder; give an empty or a new one")


def test_old_backups_are_removed_when_asked(here: Run, sqlite_file: Path, tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "tickerd-20200101T000000Z.tar").touch()
    assert "removed" not in here("db", "backup", "--to", "saved").out
    ended = here("db", "backup", "--to", "saved", "--keep", "1")
    assert "removed tickerd-20200101T000000Z.tar\n" in ended.out
    assert len(list((tmp_path / "saved").glob("*.tar"))) == 1


def test_a_backup_of_an_older_schema_says_what_to_do_next(here: Run, sqlite_file: Path) -> None:
    schema_version.downgrade(f"sqlite:///{sqlite_file}", "0001")
    file = here("db", "backup", "--json").json()["file"]
    ended = here("db", "restore", file, "--to", "new")
    assert ended.out.endswith("run `tickerd db upgrade`\n")


def test_a_restore_over_a_database_is_refused(at_table: Run) -> None:
    file = at_table("db", "backup", "--json").json()["file"]
    at_table("db", "restore", file).fails(78, "a restore overwrites nothing")


def test_a_table_is_exported_as_csv_and_parquet(at_table: Run, tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_text("old")
    assert at_table("db", "export", "--format", "csv", "out.csv").out == "out.csv: 2 rows of stocks_stock\n"
    found = csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text()))
    assert [(row["ticker"], row["current_price"]) for row in found] == [("NA", ""), ("NAN", "")]
    document = at_table("db", "export", "--format", "parquet", "out.parquet", "--json").json()
    assert document == {"version": 1, "file": "out.parquet", "table": "stocks_stock", "rows": 2}
    assert parquet.read_table(tmp_path / "out.parquet")["ticker"].to_pylist() == ["NA", "NAN"]
    assert {file.name for file in tmp_path.iterdir() if "out" in file.name} == {"out.csv", "out.parquet"}


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_table_is_exported_into_a_pipe(here: Run, sqlite_file: Path, tmp_path: Path, form: str) -> None:
    command = [str(COMMAND), "db", "export", "--format", form, "--table", "stocks_daily_bar", "-"]
    done = subprocess.run(command, cwd=tmp_path, env=clean_environ(), capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    if form == "csv":
        assert done.stdout == b"ticker,session_date,open,high,low,close,adj_close,volume,source\n"
    else:
        assert parquet.read_table(io.BytesIO(done.stdout)).num_rows == 0


def test_a_reader_who_left_ends_an_export_quietly(here: Run, sqlite_file: Path, tmp_path: Path) -> None:
    with Writer.open(f"sqlite:///{sqlite_file}", service="test", origin=None, clock=StillClock()) as writer:
        load_universe(writer, [Listing(ticker=f"T{number:05d}") for number in range(3000)])
    process = subprocess.Popen(
        [COMMAND, "db", "export", "--format", "csv", "-"],
        cwd=tmp_path,
        env=clean_environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    assert (process.stderr.read(), process.wait(60)) == (b"", 0)
    process.stderr.close()


def test_an_export_into_a_folder_that_is_not_there_is_refused(here: Run, sqlite_file: Path) -> None:
    here("db", "export", "--format", "csv", "no/out.csv").fails(78, "no/out.csv: cannot be written (No such file")


def test_parquet_without_pyarrow_says_how_to_get_it(
    here: Run, sqlite_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    here("db", "export", "--format", "parquet", "x.parquet").fails(78, "pip install 'tickerd[history]'")
    assert not (tmp_path / "x.parquet").exists()
