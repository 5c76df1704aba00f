from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from api.auth.attempts import wait_s

AT = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)


def failed(account: str, *ages_s: float) -> list[tuple[str, datetime]]:
    return [(account, AT - timedelta(seconds=age)) for age in ages_s]


@pytest.mark.parametrize(
    ("ages_s", "expected_s"),
    [
        ((), 0.0),
        ((40, 30, 20, 10), 0.0),
        ((50, 40, 30, 20, 10), 20.0),
        ((60, 50, 40, 30, 20, 10), 50.0),
        ((50, 40, 30, 20, 31), 0.0),
        ((1000, 999, 30, 20, 10), 0.0),
        (tuple(range(60, 0, -1)), 899.0),
    ],
)
def test_from_the_fifth_wrong_password_on_one_waits_longer_each_time(
    ages_s: tuple[float, ...], expected_s: float
) -> None:
    assert wait_s(failed("ann", *ages_s), "ann", at=AT) == expected_s


def test_anothers_account_is_not_locked_until_the_address_has_tried_many() -> None:
    assert wait_s(failed("ann", *range(12, 0, -1)), "bob", at=AT) == 0.0
    assert wait_s(failed("ann", *range(20, 0, -1)), "bob", at=AT) == 29.0
