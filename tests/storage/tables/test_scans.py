from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Engine, insert, select, text

from storage.tables.scans import saved_scans, scan_results

AT = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)


def test_a_request_that_another_program_spoiled_is_handed_on_for_its_reader_to_refuse(sqlite_engine: Engine) -> None:
    with sqlite_engine.begin() as connection:
        connection.execute(
            insert(saved_scans).values(name="a", request={"top": 5}, schedule="", created_at=AT, updated_at=AT)
        )
        assert connection.execute(select(saved_scans.c.request)).scalar_one() == {"top": 5}
        connection.execute(text("UPDATE saved_scans SET request = '{top'"))
        assert connection.execute(select(saved_scans.c.request)).scalar_one() == "{top"


def test_a_result_has_one_number_within_its_scan() -> None:
    assert [column.name for column in scan_results.primary_key] == ["scan_id", "seq"]
