from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from market.fading import Settled, settle
from market.fundamentals import FIELDS, Fundamentals

TODAY = date(2026, 11, 23)
BEFORE = date(2026, 11, 20)
NOTHING: dict[str, Any] = dict.fromkeys(FIELDS)


def settled(said: Fundamentals, held: dict[str, Any], stale: dict[str, date], *, keep_days: int = 30) -> Settled:
    return settle(said, NOTHING | held, stale, last_seen=BEFORE, today=TODAY, keep_days=keep_days)


def test_a_field_that_is_not_given_stands_with_its_age() -> None:
    found = settled(Fundamentals(ticker="A", employees=5), {"beta": 1.1, "employees": 4}, {})
    assert (found.values["beta"], found.values["employees"]) == (1.1, 5)
    assert found.stale == {"beta": BEFORE}
    assert found.dropped == ()


def test_its_age_is_counted_from_the_day_when_it_was_last_given() -> None:
    seen = TODAY - timedelta(days=30)
    found = settled(Fundamentals(ticker="A"), {"beta": 1.1}, {"beta": seen})
    assert (found.values["beta"], found.stale) == (1.1, {"beta": seen})


def test_a_field_not_given_for_longer_is_emptied() -> None:
    found = settled(Fundamentals(ticker="A"), {"beta": 1.1}, {"beta": TODAY - timedelta(days=31)})
    assert (found.values["beta"], found.stale, found.dropped) == (None, {}, ("beta",))


def test_a_field_that_is_given_again_has_no_age() -> None:
    found = settled(Fundamentals(ticker="A", beta=1.2), {"beta": 1.1}, {"beta": BEFORE})
    assert (found.values["beta"], found.stale) == (1.2, {})


def test_a_field_that_was_never_given_has_no_age() -> None:
    assert settled(Fundamentals(ticker="A"), {}, {}).stale == {}


def test_what_the_universe_gives_as_well_is_never_dropped() -> None:
    found = settled(Fundamentals(ticker="A"), {"sector": "Energy"}, {}, keep_days=0)
    assert (found.values["sector"], found.stale, found.dropped) == ("Energy", {}, ())
