from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from core.clock import SystemClock
from storage.idempotency import KEPT, UNDER_WAY, Given, Known, begin, finish, forget
from storage.writer import Writer
from tests.fix_storage import NOON

GIVEN = Given(principal="user:1", key="k", method_path="POST /x?", body_hash="abc")


@pytest.fixture
def writer(database_url: str) -> Iterator[Writer]:
    with Writer.open(database_url, service="test", origin=None, clock=SystemClock()) as found:
        yield found


def test_the_first_is_under_way_until_it_has_an_answer_that_the_next_one_gets(writer: Writer) -> None:
    assert begin(writer, GIVEN, at=NOON) is None
    assert begin(writer, GIVEN, at=NOON) == Known(same=True, status=None, headers="", body=b"")
    finish(writer, GIVEN, status=202, headers='{"location":"/x"}', body=b'{"a":1}')
    known = begin(writer, GIVEN, at=NOON)
    assert known == Known(same=True, status=202, headers='{"location":"/x"}', body=b'{"a":1}')


def test_another_request_with_the_key_is_told_apart(writer: Writer) -> None:
    begin(writer, GIVEN, at=NOON)
    for other in (replace(GIVEN, body_hash="x"), replace(GIVEN, method_path="POST /y?")):
        known = begin(writer, other, at=NOON)
        assert known is not None and not known.same
    assert begin(writer, replace(GIVEN, principal="user:2"), at=NOON) is None, "somebody else's key"


def test_what_was_forgotten_or_is_a_day_old_was_never_asked(writer: Writer) -> None:
    begin(writer, GIVEN, at=NOON)
    forget(writer, GIVEN)
    assert begin(writer, GIVEN, at=NOON) is None
    finish(writer, GIVEN, status=200, headers="{}", body=b"")
    assert begin(writer, GIVEN, at=NOON + KEPT) is not None
    assert begin(writer, GIVEN, at=NOON + KEPT + timedelta(seconds=1)) is None


def test_what_its_process_never_answered_may_be_asked_again(writer: Writer) -> None:
    begin(writer, GIVEN, at=NOON)
    assert begin(writer, GIVEN, at=NOON + UNDER_WAY) is not None
    assert begin(writer, GIVEN, at=NOON + UNDER_WAY + timedelta(seconds=1)) is None
