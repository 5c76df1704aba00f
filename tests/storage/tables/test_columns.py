from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import StatementError

from storage.tables.columns import parameter
from storage.tables.operation import change_marker

NEW_YORK = timezone(timedelta(hours=-5))
AT = datetime(2026, 11, 23, 9, 30, 0, 5, tzinfo=NEW_YORK)


def test_a_time_is_kept_as_utc_text_and_comes_back_aware(sqlite_engine: Engine) -> None:
    with sqlite_engine.begin() as connection:
        connection.execute(insert(change_marker).values(source="s", seq=1, epoch=1, committed_at=AT))
        assert connection.exec_driver_sql("SELECT committed_at FROM change_marker").scalar() == (
            "2026-11-23 14:30:00.000005"
        )
        back = connection.execute(select(change_marker.c.committed_at)).scalar_one()
    assert (back, back.tzinfo) == (AT, UTC)


def test_a_naive_time_is_refused(sqlite_engine: Engine) -> None:
    naive = AT.replace(tzinfo=None)
    with pytest.raises(StatementError, match="has no time zone"), sqlite_engine.begin() as connection:
        connection.execute(insert(change_marker).values(source="s", seq=1, epoch=1, committed_at=naive))
    with pytest.raises(ValueError, match="has no time zone"):
        parameter(naive, "sqlite")


def test_parameters_of_bare_statements_have_the_same_form() -> None:
    assert parameter(AT, "sqlite") == "2026-11-23 14:30:00.000005"
    assert parameter(AT.replace(microsecond=0), "sqlite") == "2026-11-23 14:30:00.000000"
    assert parameter(AT, "postgresql") == AT
    assert parameter(date(2026, 11, 23), "sqlite") == "2026-11-23"
    assert parameter(1.5, "sqlite") == 1.5
