from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from core.clock import SystemClock
from storage.audits import AuditRow, Finding, write_audit
from storage.writer import Writer
from tests.fix_cli import Run, fits_80_columns

AT = datetime(2026, 11, 23, 23, 10, tzinfo=UTC)
ROW = AuditRow(
    session=date(2026, 11, 23),
    at=AT,
    asked=103,
    exact=8_779,
    differs=1,
    not_comparable=2,
    sampled=100,
    outliers=3,
    requests=104,
    total=8_782,
)
WRONG = Finding(ticker="AAPL", verdict="differs", field="bar_close", rule="witness", held=226.4, told=226.51)
UNKNOWN = [Finding(ticker=ticker, verdict="not_comparable", reason="no_trade") for ticker in ("AACI", "ZZZ")]
OLDER = AuditRow(
    session=date(2026, 11, 20),
    at=AT,
    asked=1,
    exact=8_782,
    differs=0,
    not_comparable=0,
    sampled=1,
    outliers=0,
    requests=1,
    total=8_782,
)


@pytest.fixture
def table(here: Run, sqlite_file: Path) -> Run:
    with Writer.open(f"sqlite:///{sqlite_file}", service="test", origin="practice", clock=SystemClock()) as writer:
        write_audit(writer, OLDER, [])
        write_audit(writer, ROW, [WRONG, *UNKNOWN])
    return here


def test_the_newest_audit_is_shown_with_each_number_that_differs(table: Run) -> None:
    done = table("audit")
    assert (done.code, done.err) == (1, "")
    assert fits_80_columns(done.out)
    words = " ".join(done.out.split())
    assert words.startswith("session 2026-11-23: 8,779 of 8,780 exact; 1 differ: AAPL bar_close 226.4 (chart 226.51)")
    assert "2 not comparable (2 no trade)" in words
    assert "103 charts asked: 100 by chance, 3 that looked odd" in words
    assert done.out.splitlines()[-1].split() == ["AAPL", "226.4", "226.51", "bar_close,", "witness"]


def test_json_has_the_counts_the_words_and_the_findings(table: Run) -> None:
    document = table("audit", "--json").json()
    assert document["session"] == "2026-11-23" and document["at"] == "2026-11-23T23:10:00.000Z"
    assert (document["exact"], document["differs"], document["total"]) == (8_779, 1, 8_782)
    assert [each["ticker"] for each in document["findings"]] == ["AACI", "AAPL", "ZZZ"]
    assert document["findings"][1] == {
        "ticker": "AAPL",
        "verdict": "differs",
        "field": "bar_close",
        "rule": "witness",
        "held": 226.4,
        "told": 226.51,
        "reason": None,
    }


def test_a_session_without_a_difference_is_exit_0(table: Run) -> None:
    done = table("audit", "--session", "2026-11-20")
    assert (done.code, done.out.splitlines()[0]) == (0, "session 2026-11-20: 8,782 of 8,782 exact")


def test_a_session_that_was_not_audited_is_said(table: Run) -> None:
    table("audit", "--session", "2026-11-19").fails(1, "no audit of 2026-11-19 is kept")


def test_before_the_first_audit_it_says_when_it_comes(here: Run, sqlite_file: Path) -> None:
    here("audit").fails(1, "no session was audited yet", "at the end of each daily refresh")
