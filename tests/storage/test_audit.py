from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Engine

from storage import audit
from storage.writer import Writer
from tests.fix_storage import NOON

MINUTE = timedelta(minutes=1)


def test_what_was_done_is_listed_the_newest_first(writer: Writer, reader: Engine) -> None:
    for number in range(3):
        audit.note(writer, actor="ann", action=f"a{number}", address="::1", detail={"n": number}, at=NOON)
    rows = audit.read(reader, limit=2)
    assert [(row["action"], row["detail"], row["at"]) for row in rows] == [
        ("a2", {"n": 2}, NOON),
        ("a1", {"n": 1}, NOON),
    ]
    assert [row["action"] for row in audit.read(reader, limit=9, before=rows[-1]["id"])] == ["a0"]


def test_failed_sign_ins_are_told_by_address_within_a_time(writer: Writer, reader: Engine) -> None:
    for age, actor, action, address in (
        (20, "ann", audit.FAILED, "1"),
        (10, "ann", audit.FAILED, "1"),
        (9, "bob", audit.FAILED, "1"),
        (8, "ann", audit.FAILED, "2"),
        (7, "ann", "signed_in", "1"),
    ):
        audit.note(writer, actor=actor, action=action, address=address, detail=None, at=NOON - age * MINUTE)
    found = audit.failures(reader, address="1", since=NOON - 15 * MINUTE)
    assert found == [("ann", NOON - 10 * MINUTE), ("bob", NOON - 9 * MINUTE)]
