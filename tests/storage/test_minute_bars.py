from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from core.errors import FixByHand, RetryLater
from market.bars import MinuteBar
from storage import minute_bars
from storage.minute_bars import MinuteBarFiles, NotParquet

MONDAY, TUESDAY = date(2026, 11, 23), date(2026, 11, 24)
OPEN = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BAR = MinuteBar(
    ticker="AAPL",
    session_date=MONDAY,
    minute=OPEN,
    open=0.1 + 0.2,
    high=737050.25,
    low=0.000123,
    close=24.53,
    volume=300,
    day_volume=2**40,
    is_whole=True,
)
PART = replace(BAR, volume=None, is_whole=False)


class Killed(BaseException):
    """The process is gone."""


def opened(folder: Path, *, keep_sessions: int = 90, origin: str = "practice") -> MinuteBarFiles:
    return MinuteBarFiles.open(folder / "bars", keep_sessions=keep_sessions, origin=origin)


@pytest.fixture
def files(tmp_path: Path) -> MinuteBarFiles:
    return opened(tmp_path)


def read(folder: Path, columns: str = "* EXCLUDE (session_date), session_date") -> list[tuple[Any, ...]]:
    """Return what DuckDB finds as a user asks it."""
    query = f"SELECT {columns} FROM read_parquet('{folder}/bars/*/*.parquet', hive_partitioning = true) ORDER BY ALL"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(query).fetchall()


def row(bar: MinuteBar) -> tuple[Any, ...]:
    prices = (bar.open, bar.high, bar.low, bar.close)
    return (bar.ticker, bar.minute, *prices, bar.volume, bar.day_volume, bar.is_whole, bar.session_date)


def two_sessions() -> list[MinuteBar]:
    """Three minutes of Monday and one of Tuesday, in which not everyone traded."""
    told = [("F", 0), ("AAPL", 0), ("F", 1), ("AAPL", 2), ("BRK-B", 2), ("F", 2)]
    monday = [replace(BAR, ticker=ticker, minute=OPEN + minute * MINUTE, volume=minute) for ticker, minute in told]
    return [*monday, replace(BAR, session_date=TUESDAY, minute=OPEN + timedelta(days=1))]


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder / "bars")) for path in (folder / "bars").glob("*/*"))


def test_duckdb_reads_each_value_as_it_was_written(tmp_path: Path, files: MinuteBarFiles) -> None:
    bars = [BAR, replace(PART, ticker="F", day_volume=None)]
    assert files.write(bars) == 0
    assert read(tmp_path) == [row(bar) for bar in bars]


def test_there_is_one_file_a_minute(tmp_path: Path, files: MinuteBarFiles) -> None:
    files.write(two_sessions())
    assert names(tmp_path) == [
        "session_date=2026-11-23/2026-11-23T1430Z.parquet",
        "session_date=2026-11-23/2026-11-23T1431Z.parquet",
        "session_date=2026-11-23/2026-11-23T1432Z.parquet",
        "session_date=2026-11-24/2026-11-24T1430Z.parquet",
    ]
    assert read(tmp_path) == sorted(row(bar) for bar in two_sessions())


def test_a_correction_replaces_a_bar_and_leaves_its_neighbours(tmp_path: Path, files: MinuteBarFiles) -> None:
    files.write([BAR, replace(BAR, ticker="F")])
    later = replace(BAR, ticker="F", high=800000.0, close=800000.0, volume=310)
    files.write([later, replace(BAR, ticker="ABBV")])
    assert read(tmp_path) == [row(BAR), row(replace(BAR, ticker="ABBV")), row(later)]


def test_the_two_parts_of_a_minute_in_which_the_program_was_started_anew_are_one_row(tmp_path: Path) -> None:
    opened(tmp_path).write([replace(PART, open=10.0, high=12.0, low=9.0, close=11.0, day_volume=1300)])
    opened(tmp_path).write([replace(PART, open=11.5, high=11.6, low=8.5, close=11.4, day_volume=1500)])
    assert read(tmp_path) == [
        row(replace(PART, open=10.0, high=12.0, low=8.5, close=11.4, day_volume=1500)),
    ]


def test_to_write_the_same_bars_again_changes_nothing(tmp_path: Path, files: MinuteBarFiles) -> None:
    files.write(two_sessions())
    files.write(two_sessions())
    assert read(tmp_path) == sorted(row(bar) for bar in two_sessions())


def test_a_compacted_session_is_one_file_with_the_same_rows_by_ticker_and_minute(
    tmp_path: Path, files: MinuteBarFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minute_bars, "TICKERS_AT_ONCE", 2)
    files.write(two_sessions())
    assert files.compact(MONDAY) == 6
    assert names(tmp_path)[0] == "session_date=2026-11-23/day.parquet"
    assert (files.sessions(), files.uncompacted()) == ([MONDAY, TUESDAY], [TUESDAY])
    assert read(tmp_path) == sorted(row(bar) for bar in two_sessions())
    with duckdb.connect() as connection:
        in_order = connection.execute(
            f"SELECT ticker, volume FROM read_parquet('{tmp_path}/bars/session_date=2026-11-23/day.parquet')"
        ).fetchall()
    assert in_order == [("AAPL", 0), ("AAPL", 2), ("BRK-B", 2), ("F", 0), ("F", 1), ("F", 2)]
    assert not list(tmp_path.glob("bars.work/*"))


def test_what_comes_after_the_session_is_compacted_is_counted_and_left_out(
    tmp_path: Path, files: MinuteBarFiles
) -> None:
    files.write([BAR])
    files.compact(MONDAY)
    assert files.write([replace(BAR, close=1.0), replace(BAR, session_date=TUESDAY)]) == 1
    assert read(tmp_path, "session_date, close") == [(MONDAY, 24.53), (TUESDAY, 24.53)]


def test_a_compaction_that_is_broken_off_changes_nothing(tmp_path: Path, files: MinuteBarFiles) -> None:
    files.write(two_sessions())
    before = names(tmp_path)
    assert files.compact(MONDAY, is_stopping=lambda: True) is None
    assert names(tmp_path) == before
    assert files.compact(MONDAY) == 6


def killed_at(step: str) -> Callable[..., Any]:
    """Return a stand-in for the call that a kill prevents; the calls before it are done."""
    calls = []

    def rename(path: Path, target: Path) -> Path:
        calls.append(path)
        if len(calls) == {"first rename": 1, "second rename": 2}.get(step):
            raise Killed
        path.replace(target)
        return target

    return rename


@pytest.mark.parametrize("step", ["merge", "first rename", "second rename", "removal"])
def test_killed_while_compacting_the_next_start_goes_on_and_no_bar_is_lost_or_doubled(
    tmp_path: Path, files: MinuteBarFiles, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    files.write(two_sessions())

    def kill(*_args: object, **_options: object) -> bool:
        raise Killed

    with monkeypatch.context() as dying:
        dying.setattr(Path, "rename", killed_at(step))
        if step == "removal":
            dying.setattr(shutil, "rmtree", lambda path, ignore_errors=False: None if ignore_errors else kill())
        with pytest.raises(Killed):
            files.compact(MONDAY, is_stopping=kill if step == "merge" else lambda: False)
    again = opened(tmp_path)
    assert read(tmp_path) == sorted(row(bar) for bar in two_sessions())
    for session_date in again.uncompacted():
        again.compact(session_date)
    assert read(tmp_path) == sorted(row(bar) for bar in two_sessions())
    assert names(tmp_path) == ["session_date=2026-11-23/day.parquet", "session_date=2026-11-24/day.parquet"]
    assert not list(tmp_path.glob("bars.work/*"))


def test_only_the_newest_sessions_are_kept(tmp_path: Path) -> None:
    files = opened(tmp_path, keep_sessions=2)
    days = [date(2026, 11, day) for day in (30, 23, 25, 24)]
    files.write([replace(BAR, session_date=day) for day in days])
    assert files.prune() == [date(2026, 11, 23), date(2026, 11, 24)]
    assert files.prune() == []
    assert [session_date for (session_date,) in read(tmp_path, "session_date")] == [days[2], days[0]]


def test_without_pyarrow_the_start_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(FixByHand) as caught:
        opened(tmp_path)
    assert str(caught.value) == (
        "prices.minute_bars: needs pyarrow, which is not installed; "
        "install it with `pip install 'tickerd[history]'`, or set it to false"
    )


def test_practice_and_live_bars_never_meet(tmp_path: Path, files: MinuteBarFiles) -> None:
    assert opened(tmp_path).sessions() == []
    with pytest.raises(FixByHand, match="holds practice minute bars, these are live"):
        opened(tmp_path, origin="live")


def test_a_file_that_is_no_parquet_is_named_and_left_alone(tmp_path: Path, files: MinuteBarFiles) -> None:
    files.write([BAR])
    (path,) = (tmp_path / "bars").glob("*/*.parquet")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(NotParquet, match=r"1430Z\.parquet: cannot be read"):
        files.write([BAR])
    with pytest.raises(NotParquet, match=r"1430Z\.parquet: cannot be read"):
        files.compact(MONDAY)
    assert path.exists()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path, files: MinuteBarFiles) -> None:
    (tmp_path / "bars" / "session_date=2026-11-23").write_text("a file where the folder should be")
    with pytest.raises((FixByHand, RetryLater), match=r"1430Z\.parquet: cannot be written"):
        files.write([BAR])


def test_a_reader_sees_no_temporary_file(
    tmp_path: Path, files: MinuteBarFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Sequence[str]] = []
    monkeypatch.setattr(os, "fsync", lambda _fd: seen.append([n for n in names(tmp_path) if n.endswith(".parquet")]))
    files.write([BAR])
    assert seen == [[]]
