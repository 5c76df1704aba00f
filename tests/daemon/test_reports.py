from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from core.progress import Progress
from daemon.reports import Report, read_report


def test_a_report_says_all_that_a_notifier_sends() -> None:
    datagram = (
        b"WATCHDOG=1\nX_DATA_AT=2026-11-23T14:30:00.000Z\n"
        b'X_PROGRESS={"stage":"bars","done":3,"total":9,"eta_s":1.5}\n'
        b'X_COVERAGE={"price":{"fresh":1,"total":2}}\nX_FACTS={"origin":"practice"}'
    )
    assert read_report(datagram) == (
        Report(
            beat=True,
            data_at=datetime(2026, 11, 23, 14, 30, tzinfo=UTC),
            progress=Progress(stage="bars", done=3, total=9, eta_s=1.5),
            coverage={"price": {"fresh": 1, "total": 2}},
            facts={"origin": "practice"},
        ),
        [],
    )
    assert read_report(b"READY=1\nSTATUS=all well") == (Report(ready=True, status="all well"), [])
    assert read_report(b"STOPPING=1") == (Report(stopping=True), [])


def test_a_field_that_makes_no_sense_is_left_out_and_named() -> None:
    datagram = b'WATCHDOG=1\nX_DATA_AT=soon\nX_PROGRESS={"stage":1}\nX_COVERAGE=[]\nX_FACTS={"a":'
    report, bad = read_report(datagram)
    assert report == Report(beat=True)
    assert sorted(bad) == ["X_COVERAGE", "X_DATA_AT", "X_FACTS", "X_PROGRESS"]


def test_a_time_without_a_zone_makes_no_sense() -> None:
    assert read_report(b"X_DATA_AT=2026-11-23T14:30:00")[1] == ["X_DATA_AT"]


def test_a_long_status_is_cut() -> None:
    assert len(read_report(b"STATUS=" + b"x" * 10_000)[0].status or "") == 500


@given(st.binary(max_size=200))
def test_no_datagram_can_harm_the_reader(datagram: bytes) -> None:
    fields = {"X_DATA_AT", "X_PROGRESS", "X_COVERAGE", "X_FACTS"}
    assert set(read_report(datagram)[1]) <= fields
    report, bad = read_report(b"X_FACTS=" + datagram + b"\nX_DATA_AT=" + datagram)
    assert set(bad) <= fields
    assert (report.facts is None, report.data_at is None) >= ("X_FACTS" in bad, "X_DATA_AT" in bad)
