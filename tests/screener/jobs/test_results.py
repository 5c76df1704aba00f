from __future__ import annotations

import threading
from itertools import count

import pytest

from screener.jobs.results import Entry, NoSuchScan, ResultLog, Streams, TooManyReaders


def numbers(entries: list[Entry]) -> list[int]:
    return [entry.seq for entry in entries]


def test_entries_are_numbered_without_a_gap_and_read_from_anywhere() -> None:
    log = ResultLog("scan_x")
    for number in range(5):
        assert log.append("result", {"n": number}, at_s=0.0) == number + 1
    assert numbers(log.read()) == [1, 2, 3, 4, 5]
    assert numbers(log.read(3)) == [4, 5]
    assert numbers(log.read(1, limit=2)) == [2, 3]
    assert log.read(5) == log.read(99) == []


def test_nothing_follows_the_end() -> None:
    log = ResultLog("scan_x")
    log.append("complete", {}, at_s=0.0)
    with pytest.raises(ValueError, match="nothing follows"):
        log.append("result", {}, at_s=0.0)


def test_many_readers_each_get_everything_whenever_they_came() -> None:
    """The seed's queue was emptied by whoever read first, and the last results were lost."""
    streams = Streams(most=20, keep_s=30.0)
    log = streams.open("scan_x", now_s=0.0)
    got: list[list[int]] = [[] for _ in range(12)]

    def read(mine: list[int]) -> None:
        mine.extend(entry.seq for entry in streams.follow("scan_x"))

    early = [threading.Thread(target=read, args=(mine,)) for mine in got[:6]]
    for thread in early:
        thread.start()
    for number in range(300):
        log.append("result", {"n": number}, at_s=0.0)
    log.append("complete", {}, at_s=0.0)
    late = [threading.Thread(target=read, args=(mine,)) for mine in got[6:]]
    for thread in late:
        thread.start()
    for thread in (*early, *late):
        thread.join(timeout=60)
    assert all(mine == list(range(1, 302)) for mine in got)
    assert streams.readers == 0


def test_a_reader_that_was_cut_off_goes_on_after_its_last_entry() -> None:
    streams = Streams(most=1, keep_s=30.0)
    log = streams.open("scan_x", now_s=0.0)
    for number in range(4):
        log.append("result", {"n": number}, at_s=0.0)
    first = streams.follow("scan_x")
    seen = [next(iter(first)).seq, next(iter(first)).seq]
    first.close()  # type: ignore[attr-defined]
    log.append("complete", {}, at_s=0.0)
    assert [*seen, *(entry.seq for entry in streams.follow("scan_x", since=seen[-1]))] == [1, 2, 3, 4, 5]


def test_one_stream_too_many_is_told_to_try_later() -> None:
    streams = Streams(most=1, keep_s=30.0)
    streams.open("scan_x", now_s=0.0).append("complete", {}, at_s=0.0)
    held = streams.follow("scan_x")
    with pytest.raises(TooManyReaders, match="max_concurrent_streams"):
        streams.follow("scan_x")
    assert len(list(held)) == 1
    assert len(list(streams.follow("scan_x"))) == 1


def test_a_reader_of_a_silent_scan_is_let_go_after_the_time_out() -> None:
    streams = Streams(most=1, keep_s=0.01)
    streams.open("scan_x", now_s=0.0).append("progress", {}, at_s=0.0)
    assert numbers(list(streams.follow("scan_x"))) == [1]
    assert streams.readers == 0


def test_a_log_is_kept_for_its_time_after_the_end_and_no_longer() -> None:
    streams = Streams(most=1, keep_s=300.0)
    streams.open("old", now_s=0.0).append("complete", {}, at_s=10.0)
    streams.open("runs", now_s=0.0)
    streams.open("b", now_s=309.0)
    assert streams.of("old").complete
    streams.open("c", now_s=311.0)
    assert not streams.of("runs").complete
    with pytest.raises(NoSuchScan):
        streams.of("old")


def test_an_entry_that_nobody_reads_is_never_made_and_one_that_many_read_once() -> None:
    made = count()
    log = ResultLog("scan_x")
    log.append("progress", lambda: {"n": next(made)}, at_s=0.0)
    assert next(made) == 0, "it was made though nobody read it"
    assert [log.read()[0].data, log.read()[0].data] == [{"n": 1}, {"n": 1}]


def test_a_reader_that_is_let_go_before_it_read_gives_its_place_back() -> None:
    streams = Streams(most=1, keep_s=30.0)
    streams.open("scan_x", now_s=0.0).append("complete", {}, at_s=0.0)
    streams.follow("scan_x").close()  # type: ignore[attr-defined]
    assert streams.readers == 0 and numbers(list(streams.follow("scan_x"))) == [1]


def test_many_long_logs_of_ended_scans_go_before_their_time_the_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("screener.jobs.results.MOST_ENTRIES", 4)
    streams = Streams(most=1, keep_s=300.0)
    for name in ("first", "runs", "second", "third"):
        log = streams.open(name, now_s=0.0)
        log.extend("result", [{}, {}], at_s=0.0)
        if name != "runs":
            log.append("complete", {}, at_s=1.0)
    streams.open("next", now_s=2.0)
    assert streams.of("third").complete and not streams.of("runs").complete
    for gone in ("first", "second"):
        with pytest.raises(NoSuchScan):
            streams.of(gone)
