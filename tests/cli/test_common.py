from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from rich.console import Console

from cli.common import age_text, coverage_table, json_bytes, load, open_table, plain_table, print_json
from core.errors import FixByHand


@pytest.mark.parametrize(
    ("age_s", "text"),
    [
        (None, ""),
        (0.0, "0 s"),
        (119.4, "119 s"),
        (120.0, "2 min"),
        (7199.0, "120 min"),
        (7200.0, "2 h"),
        (172_799.0, "48 h"),
        (172_800.0, "2 d"),
    ],
)
def test_an_age_is_told_in_its_largest_unit_that_fits_twice(age_s: float | None, text: str) -> None:
    assert age_text(age_s) == text


def test_times_and_dates_have_one_form_in_every_document() -> None:
    eastern = datetime(2026, 11, 23, 9, 30, tzinfo=timezone(timedelta(hours=-5)))
    value = {"at": eastern, "on": date(2026, 11, 23), "all": (datetime(2026, 1, 2, tzinfo=UTC), None, 1.5, True)}
    assert json_bytes(value) == (
        b'{"at":"2026-11-23T14:30:00.000Z","on":"2026-11-23","all":["2026-01-02T00:00:00.000Z",null,1.5,true]}'
    )


def test_a_document_begins_with_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"days": []})
    assert capsys.readouterr().out == '{"version":1,"days":[]}\n'


def test_the_table_of_an_absent_database_is_refused_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FixByHand, match=r"holds no tables yet; run `tickerd db upgrade`"):
        open_table(load(None))
    assert list(tmp_path.iterdir()) == []


def test_a_table_breaks_no_word_and_sets_numbers_to_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    table = plain_table("process", "restarts", last="name")
    table.add_row("recorder", "1,000", "x")
    Console(width=80).print(table)
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "process   restarts  name",
        "recorder     1,000  x",
    ]


def test_coverage_keeps_its_thousands_separators(capsys: pytest.CaptureFixture[str]) -> None:
    counts = {"fresh": 8000, "unchanged": 700, "no_trade": 80, "unknown": 2, "total": 8782}
    Console(width=80).print(coverage_table({"price": counts}))
    assert capsys.readouterr().out.splitlines()[1].split() == ["price", "8,000", "700", "80", "2", "8,782"]
