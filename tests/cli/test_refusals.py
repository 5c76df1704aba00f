from __future__ import annotations

from datetime import UTC, date, datetime

from sqlalchemy import Engine

from cli.refusals import checks
from storage.refusals import add_refusals
from storage.writer import Writer
from tests.fix_storage import StillClock

AT = StillClock(datetime(2026, 11, 24, 12, 0, tzinfo=UTC))


def test_the_refusals_of_a_week_are_checks_by_session_endpoint_and_rule(writer: Writer, reader: Engine) -> None:
    monday = date(2026, 11, 23)
    add_refusals(writer, monday, "summary", {"unit": 4}, examples={"unit": "BABA float_shares"})
    add_refusals(writer, monday, "chart", {"order": 100})
    add_refusals(writer, date(2026, 11, 2), "chart", {"order": 1})
    assert checks(reader, AT) == [
        {"name": "refused 2026-11-23 chart order", "ok": False, "found": "100", "advice": ""},
        {
            "name": "refused 2026-11-23 summary unit",
            "ok": True,
            "found": "4, last BABA float_shares",
            "advice": "the source counts in another unit; nothing to do",
        },
    ]
