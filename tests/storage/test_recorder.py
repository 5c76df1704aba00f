from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from core.config import dump
from core.errors import RetryLater
from core.notify import Notifier
from core.settings import Database, Settings, State
from storage.recorder import Journal, Recorder, main
from storage.schema import scanner_event
from storage.writer import Writer
from tests.fix_storage import NOON, StillClock

ROOT = Path(__file__).parents[2]


def event(seq: int, **more: Any) -> dict[str, Any]:
    return {
        "source": "host",
        "seq": seq,
        "at": "2026-11-23T17:00:00.000Z",
        "process": "prices",
        "event": "started",
    } | more


def line(seq: int, **more: Any) -> str:
    return json.dumps(event(seq, **more)) + "\n"


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def recorded(reader: Engine) -> list[int]:
    with reader.connect() as connection:
        return list(connection.execute(select(scanner_event.c.seq).order_by(scanner_event.c.seq)).scalars())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


@pytest.fixture
def start(writer: Writer, path: Path) -> Iterator[Callable[[], Recorder]]:
    """Starts a recorder, as a new process would."""
    journals: list[Journal] = []

    def begin() -> Recorder:
        journals.append(Journal(path))
        return Recorder(writer, journals[-1])

    yield begin
    for journal in journals:
        journal.close()


def test_an_event_is_recorded_with_all_it_says(path: Path, start: Callable[[], Recorder], reader: Engine) -> None:
    said = {
        "from_state": "running",
        "to_state": "backoff",
        "cause": "crash",
        "pid": 4711,
        "exit_code": None,
        "signal": 11,
        "detail": {"restarts": 2, "text": "ü\u0000"},
    }
    append(path, line(1, **said, a_later_key=True))
    start().drain()
    with reader.connect() as connection:
        row = dict(connection.execute(select(scanner_event)).mappings().one())
    assert row.pop("id") > 0
    assert row == {"source": "host", "seq": 1, "at": NOON, "process": "prices", "event": "started"} | said


def test_no_journal_yet_is_no_error(start: Callable[[], Recorder], reader: Engine) -> None:
    start().drain()
    assert recorded(reader) == []


def test_only_new_lines_are_read_and_a_torn_one_waits(
    path: Path, start: Callable[[], Recorder], reader: Engine
) -> None:
    recorder = start()
    append(path, line(1) + line(2)[:20])
    recorder.drain()
    assert recorded(reader) == [1]
    append(path, line(2)[20:] + line(3))
    recorder.drain()
    assert (recorded(reader), recorder.recorded, recorder.refused) == ([1, 2, 3], 3, 0)


def test_a_recorder_started_again_records_nothing_twice(
    path: Path, start: Callable[[], Recorder], reader: Engine
) -> None:
    append(path, line(1) + line(2))
    start().drain()
    append(path, line(3) + line(1, source="other"))
    again = start()
    again.drain()
    assert (again.recorded, recorded(reader)) == (2, [1, 1, 2, 3])


def test_two_recorders_at_once_record_each_event_once(
    path: Path, start: Callable[[], Recorder], reader: Engine
) -> None:
    one, two = start(), start()
    append(path, line(1) + line(2))
    one.drain()
    two.drain()
    assert (one.recorded, two.recorded, recorded(reader)) == (2, 0, [1, 2])


def test_nothing_is_lost_when_the_journal_is_rotated(path: Path, start: Callable[[], Recorder], reader: Engine) -> None:
    recorder = start()
    append(path, line(1))
    recorder.drain()
    append(path, line(2))
    path.rename(path.with_name("events.jsonl.1"))
    recorder.drain()
    append(path, line(3))
    recorder.drain()
    assert recorded(reader) == [1, 2, 3]


def test_a_new_recorder_reads_the_rotated_part_too(path: Path, start: Callable[[], Recorder], reader: Engine) -> None:
    append(path.with_name("events.jsonl.1"), line(1))
    append(path, line(2))
    start().drain()
    assert recorded(reader) == [1, 2]


@pytest.mark.parametrize(
    "bad",
    [
        "not json\n",
        "\n",
        "[]\n",
        '{"source": "host"}\n',
        line(7, at="2026-11-23T17:00:00"),
        line(7, at="yesterday"),
        line(2**63),
        line(7, pid="many"),
        line(7, process="a\u0000b"),
        line(7, exit_code=2**70),
        '{"source": "\\ud800"}\n',
    ],
)
def test_a_malformed_line_is_counted_and_the_rest_recorded(
    path: Path, start: Callable[[], Recorder], reader: Engine, bad: str
) -> None:
    append(path, line(1) + bad + line(2))
    recorder = start()
    recorder.drain()
    assert (recorded(reader), recorder.refused) == ([1, 2], 1)


def test_many_events_are_recorded_in_batches(path: Path, start: Callable[[], Recorder], reader: Engine) -> None:
    append(path, "".join(line(seq) for seq in range(1, 1202)))
    start().drain()
    assert recorded(reader) == list(range(1, 1202))


async def test_asked_to_stop_it_drains_once_more(path: Path, sqlite_file: Path) -> None:
    settings = settings_for(path, sqlite_file)
    stop = asyncio.Event()

    class StopInASecond(StillClock):
        async def sleep(self, duration_s: float) -> None:
            await super().sleep(duration_s)
            append(path, line(2))
            stop.set()

    append(path, line(1))
    await main(settings, stop, Notifier(None), StopInASecond())
    assert events_of(sqlite_file) == [1, 2]


async def test_a_database_that_is_away_ends_it_and_the_journal_waits(path: Path, sqlite_file: Path) -> None:
    class Away(StillClock):
        async def sleep(self, duration_s: float) -> None:
            sqlite_file.rename(sqlite_file.with_suffix(".away"))
            append(path, line(1))

    with pytest.raises(RetryLater) as caught:
        await main(settings_for(path, sqlite_file), asyncio.Event(), Notifier(None), Away())
    assert caught.value.exit_code == 75
    sqlite_file.with_suffix(".away").rename(sqlite_file)
    stop = asyncio.Event()
    stop.set()
    await main(settings_for(path, sqlite_file), stop, Notifier(None), StillClock())
    assert events_of(sqlite_file) == [1]


def test_as_a_process_it_runs_until_sigterm(path: Path, sqlite_file: Path, tmp_path: Path) -> None:
    dumped = tmp_path / "settings.json"
    dumped.write_bytes(dump(settings_for(path, sqlite_file)))
    append(path, line(1))
    command = [sys.executable, "-m", "storage.recorder"]
    process = subprocess.Popen(
        command, cwd=ROOT, env={"TICKERD_SETTINGS": str(dumped)}, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    while "recorder_started" not in (said := process.stderr.readline()):
        assert said, "it ended before it started"
    process.send_signal(signal.SIGTERM)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "recorder_stopped" in rest
    assert events_of(sqlite_file) == [1]


def settings_for(path: Path, sqlite_file: Path) -> Settings:
    return Settings(state=State(dir=str(path.parent)), database=Database(url=f"sqlite:///{sqlite_file}"))


def events_of(sqlite_file: Path) -> list[int]:

    connection = sqlite3.connect(sqlite_file)
    found = [seq for (seq,) in connection.execute("SELECT seq FROM scanner_event ORDER BY seq")]
    connection.close()
    return found
