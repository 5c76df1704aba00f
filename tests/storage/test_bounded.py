from __future__ import annotations

import psycopg
import pytest

from core.clock import SystemClock
from storage.bounded import BoundedConnection

CLOCK = SystemClock()


def connect(url: str, *, patience_s: float) -> BoundedConnection:
    name, _, folder = url.removeprefix("postgresql+psycopg://tickerd@/").partition("?host=")
    connection = BoundedConnection.connect(f"host={folder} user=tickerd dbname={name}")
    connection.patience_s = patience_s
    return connection


def test_an_answer_in_time_is_passed_on(postgresql_url: str) -> None:
    with connect(postgresql_url, patience_s=5.0) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO app_meta VALUES (%s, 'v')", [(str(number),) for number in range(500)])
        assert connection.execute("SELECT count(*) FROM app_meta WHERE value = 'v'").fetchone() == (500,)
        with pytest.raises(psycopg.errors.SyntaxError):
            connection.execute("NONSENSE")


def test_an_answer_that_does_not_come_ends_the_connection(postgresql_url: str) -> None:
    connection = connect(postgresql_url, patience_s=0.3)
    begun_s = CLOCK.monotonic_s()
    with pytest.raises(psycopg.OperationalError, match=r"no answer for 0\.3 s"):
        connection.execute("SELECT pg_sleep(600)")
    assert connection.closed, "so that a roll-back does not wait again"
    assert CLOCK.monotonic_s() - begun_s < 60.0
