from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, insert
from sqlalchemy.exc import IntegrityError

from storage.tables.operation import coverage_minute, scanner_event

AT = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)


def test_a_source_numbers_each_of_its_events_once(sqlite_engine: Engine) -> None:
    event: dict[str, Any] = {"at": AT, "source": "s", "seq": 1, "process": "prices", "event": "child_exited"}
    with sqlite_engine.begin() as connection:
        connection.execute(insert(scanner_event), [event, event | {"source": "t"}, event | {"seq": 2}])
    with pytest.raises(IntegrityError), sqlite_engine.begin() as connection:
        connection.execute(insert(scanner_event), event)


def test_a_minute_is_counted_once_for_each_group_of_fields() -> None:
    assert [column.name for column in coverage_minute.primary_key] == ["minute", "field_group"]
