from __future__ import annotations

import gzip
import os
import random
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import flight
from core.clock import SystemClock, pause
from core.errors import FixByHand
from core.flight import FlightRecorder, Header, Record, Unreadable, read_flight, segments
from core.logs import configure
from tests.fix_clock import NOON, FakeClock
from tests.fix_scanners import ROOT

HEADER = msgspec.json.encode(Header(tickerd_flight=1, scanner="test")) + b"\n"


@contextmanager
def recorder(folder: Path, *, limit_mb: float = 1.0, clock: FakeClock | None = None) -> Iterator[FlightRecorder]:
    running = FlightRecorder(folder, scanner="test", limit_mb=limit_mb, clock=clock or FakeClock())
    running.start()
    try:
        yield running
    finally:
        running.close()


def records(folder: Path) -> list[Record]:
    """Return what a folder holds; each line must be a record."""
    found = [each for path in segments(folder) for each in read_flight(path)]
    assert not [each for each in found if isinstance(each, Unreadable)]
    return [each for each in found if isinstance(each, Record)]


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def test_what_was_recorded_is_read_back_as_it_came(tmp_path: Path) -> None:
    with recorder(tmp_path) as running:
        running.frame(7, b'{"type":"pricing","message":"CgRBQVBM"}')
        running.frame(8, b"\xff\x00 no text")
        running.answer("https://query1.finance.yahoo.com/v7/finance/quote?symbols=A", 429, b"")
    frame, odd, answer = records(tmp_path)
    assert (frame.at, frame.kind, frame.source, frame.status) == (NOON, "frame", "7", None)
    assert frame.raw == b'{"type":"pricing","message":"CgRBQVBM"}'
    assert (odd.source, odd.raw, odd.text) == ("8", b"\xff\x00 no text", None)
    assert (answer.kind, answer.status, answer.raw) == ("answer", 429, b"")
    assert answer.source == "https://query1.finance.yahoo.com/v7/finance/quote?symbols=A"


def test_any_program_can_read_a_segment(tmp_path: Path) -> None:
    with recorder(tmp_path) as running:
        running.frame(1, b"hello")
    (segment,) = segments(tmp_path)
    assert segment.name == "00000001-20261123T170000Z.jsonl.gz"
    lines = subprocess.run(["gzip", "-dc", segment], check=True, capture_output=True, text=True).stdout.splitlines()
    assert lines == [
        '{"tickerd_flight":1,"scanner":"test"}',
        '{"at":"2026-11-23T17:00:00Z","kind":"frame","source":"1","text":"hello"}',
    ]


def test_only_the_owner_may_read_a_recording(tmp_path: Path) -> None:
    with recorder(tmp_path / "flight") as running:
        running.frame(1, b"hello")
    assert (tmp_path / "flight").stat().st_mode & 0o777 == 0o700
    assert segments(tmp_path / "flight")[0].stat().st_mode & 0o777 == 0o600


def test_a_recorder_that_heard_nothing_leaves_no_file(tmp_path: Path) -> None:
    with recorder(tmp_path / "flight"):
        pass
    assert not (tmp_path / "flight").exists()


def test_the_ring_forgets_the_oldest_and_never_exceeds_its_size(tmp_path: Path) -> None:
    ring = flight._Ring(tmp_path, scanner="test", limit_bytes=80_000)
    largest = 0
    for number in range(400):
        at = NOON + timedelta(seconds=number)
        record = Record(at=at, kind="frame", source=str(number), base64=os.urandom(900))
        ring.write(msgspec.json.encode(record) + b"\n", at=at)
        largest = max(largest, size(tmp_path))
    ring.end()
    kept = [int(record.source) for record in records(tmp_path)]
    assert largest <= 80_000
    assert size(tmp_path) > 60_000  # and it is used
    assert kept == list(range(kept[0], 400))  # the newest, none missing
    assert segments(tmp_path)[0].name.startswith("0000003")  # the first ones are gone


def test_the_next_recorder_goes_on_after_the_last_segment_and_leaves_foreign_files_alone(tmp_path: Path) -> None:
    for number in range(3):
        with recorder(tmp_path, clock=FakeClock(NOON - timedelta(hours=number))) as running:  # a clock that runs back
            running.frame(number, b"hello")
    (tmp_path / "note.txt").write_text("mine")
    assert [record.source for record in records(tmp_path)] == ["0", "1", "2"]
    assert [path.name[:8] for path in segments(tmp_path)] == ["00000001", "00000002", "00000003"]
    assert (tmp_path / "note.txt").exists()


def test_what_is_larger_than_the_whole_ring_is_dropped_and_the_next_record_is_kept(tmp_path: Path) -> None:
    with recorder(tmp_path, limit_mb=0.05) as running:
        running.answer("https://example.org/", 200, os.urandom(300_000))
        running.frame(1, b"hello")
    assert [record.raw for record in records(tmp_path)] == [b"hello"]
    assert running.dropped == 1


def test_a_recording_that_is_killed_is_read_to_its_last_flush(tmp_path: Path) -> None:
    """A real process, killed while it records; and the same file cut at every byte."""
    code = f"""
from pathlib import Path
from core.clock import SystemClock, pause
from core.flight import FlightRecorder
recorder = FlightRecorder(Path({str(tmp_path)!r}), scanner="test", limit_mb=1, clock=SystemClock())
recorder.start()
for number in range(1000):
    recorder.frame(number, b"hello %d" % number)
pause(600)
"""
    child = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    try:
        clock = SystemClock()
        end_s = clock.monotonic_s() + 60
        while not tmp_path.exists() or not segments(tmp_path) or len(records(tmp_path)) < 1000:
            assert clock.monotonic_s() < end_s
            pause(0.05)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert [record.raw for record in records(tmp_path)] == [b"hello %d" % number for number in range(1000)]


def test_a_segment_cut_anywhere_gives_its_whole_records_and_no_error(tmp_path: Path) -> None:
    with recorder(tmp_path / "whole") as running:
        for number in range(20):
            running.frame(number, b"hello")
    packed = segments(tmp_path / "whole")[0].read_bytes()
    cut = tmp_path / "cut.gz"
    counts = []
    for length in range(70, len(packed)):
        cut.write_bytes(packed[:length])
        try:
            found = list(read_flight(cut))
        except FixByHand:
            continue  # not even the header is there
        assert [each.source for each in found if isinstance(each, Record)] == [str(n) for n in range(len(found))]
        counts.append(len(found))
    assert counts == sorted(counts)
    assert counts[-1] == 20


def test_a_full_disk_costs_records_and_nothing_else(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The kernel refuses the write in its middle; what was there before stays readable, and so is what comes after."""
    configure(service="test", level="info", style="json")
    running = FlightRecorder(tmp_path, scanner="test", limit_mb=1, clock=FakeClock())
    running.frame(1, b"before")
    running._drain()
    full = segments(tmp_path)[0].stat().st_size + 1000
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (full, limits[1]))
    try:
        for _ in range(3):
            running.answer("https://example.org/", 200, os.urandom(5000))
            running._drain()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    running.frame(2, b"after")
    running._drain()
    running._ring.end()
    assert [record.raw for record in records(tmp_path)] == [b"before", b"after"]
    assert running.dropped == 3
    said = capfd.readouterr().err
    assert said.count("flight_records_dropped") == 1  # sparingly
    assert '"reason":"' in said and '"records":1' in said


def test_a_folder_that_cannot_be_made_costs_records_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "flight").write_text("in the way")
    with recorder(tmp_path / "flight" / "prices") as running:
        running.frame(1, b"hello")
    assert running.dropped == 1


def test_a_disk_that_does_not_keep_up_costs_records_and_not_memory(tmp_path: Path) -> None:
    running = FlightRecorder(tmp_path, scanner="test", limit_mb=1, clock=FakeClock())  # nobody writes
    for _ in range(40):
        running.answer("https://example.org/", 200, bytes(1 << 20))
    assert len(running._waiting) == 17  # one more than 16 MiB
    assert running.dropped == 23


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is not a recording"),
        (b"tickerd\n", "is not a recording"),
        (b'{"quoteResponse":{}}\n', "is not a recording"),
        (b"\x1f\x8b no gzip", "is not a recording"),
        (gzip.compress(b"hello\n", mtime=0), "is not a recording"),
        (HEADER.replace(b"1", b"2"), "is a recording of format 2"),
    ],
)
def test_a_file_that_is_no_recording_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "report"
    file.write_bytes(content)
    with pytest.raises(FixByHand, match=f"report: {words}; give a file of `flight/`"):
        list(read_flight(file))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FixByHand, match=r"nothing: cannot be read \(No such file or directory\); give a recording"):
        list(read_flight(tmp_path / "nothing"))


def test_lines_cut_out_by_hand_are_a_recording_and_a_bad_one_does_not_end_it(tmp_path: Path) -> None:
    file = tmp_path / "report.jsonl"
    good = b'{"at":"2026-11-23T17:00:00Z","kind":"frame","source":"1","text":"hello"}\n'
    file.write_bytes(
        HEADER
        + good
        + b"hello\n"
        + b'{"at":"2026-11-23T17:00:00","kind":"frame","source":"1","text":"no zone"}\n'
        + b'{"at":"2026-11-23T17:00:00Z","kind":"frame","source":"1"}\n'
        + b'{"at":"2026-11-23T17:00:00Z","kind":"word","source":"1","text":""}\n'
        + good[:-1]
    )
    found = list(read_flight(file))
    assert [isinstance(each, Record) for each in found] == [True, False, False, False, False, True]
    assert [each.reason for each in found if isinstance(each, Unreadable)] == [
        "JSON is malformed: invalid character (byte 0)",
        "Expected `datetime` with a timezone component - at `$.at`",
        "one of `text` and `base64` must be there",
        "Invalid enum value 'word' - at `$.kind`",
    ]


def test_a_damaged_segment_gives_what_comes_before_the_damage(tmp_path: Path) -> None:
    ring = flight._Ring(tmp_path, scanner="test", limit_bytes=1_000_000)
    dice = random.Random(1)
    for number in range(100):
        record = Record(at=NOON, kind="frame", source=str(number), base64=dice.randbytes(900))
        ring.write(msgspec.json.encode(record) + b"\n", at=NOON)
    ring.end()
    (segment,) = segments(tmp_path)
    packed = bytearray(segment.read_bytes())
    packed[len(packed) // 2 :] = bytes(len(packed) // 2)
    segment.write_bytes(packed)
    found = list(read_flight(segment))
    sources = [each.source for each in found if isinstance(each, Record)]
    assert sources[:45] == [str(number) for number in range(45)]
    assert any(isinstance(each, Unreadable) for each in found)


@given(raw=st.binary(max_size=200), at=st.datetimes(timezones=st.just(UTC)))
def test_any_bytes_of_any_time_come_back(raw: bytes, at: datetime) -> None:
    line = flight._lines([(at, "frame", 1, None, raw)])
    assert line.count(b"\n") == 1
    record = msgspec.json.decode(line, type=Record)
    assert (record.raw, record.at) == (raw, at)


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00"])
def test_a_record_of_a_year_of_which_no_session_is_known_is_told_and_the_rest_is_read(tmp_path: Path, at: str) -> None:
    path = tmp_path / "odd.jsonl"
    lines = [f'{{"at":"{time}","kind":"frame","source":"1","text":"x"}}' for time in (at, "2026-11-23T17:00:00Z")]
    path.write_text("\n".join(['{"tickerd_flight":1,"scanner":"prices"}', *lines, ""]))

    odd, sound = read_flight(path)

    assert isinstance(odd, Unreadable)
    assert "1971 to 2036" in odd.reason
    assert isinstance(sound, Record)
