from __future__ import annotations

import pytest

from proxies.breaker import Breaker, Trip
from proxies.model import Cause

RESTED_S = 500.0


def told(
    breaker: Breaker, cause: Cause, exits: range, *, idle_s: float = RESTED_S, now_s: float = 100.0
) -> Trip | None:
    """Let each of these exits say `cause`; return the trip that the last one brought."""
    trip = None
    for number in exits:
        trip = breaker.note(f"10.0.0.{number}", cause, idle_s=idle_s, now_s=now_s)
    return trip


def test_one_exit_that_is_limited_says_nothing_of_yahoo() -> None:
    breaker = Breaker(most=8)
    for _ in range(20):
        assert breaker.note("10.0.0.1", "yahoo_limit", idle_s=RESTED_S, now_s=1.0) is None
    assert (breaker.concurrency, breaker.is_paused(1.0)) == (8, False)


def test_five_rested_exits_that_are_all_limited_pause_everything_and_are_forgiven() -> None:
    breaker = Breaker(most=8)
    trip = told(breaker, "yahoo_limit", range(5))
    assert trip == Trip(cause="yahoo_limit", pause_s=35.0, exits=frozenset(f"10.0.0.{each}" for each in range(5)))
    assert breaker.is_paused(134.9)
    assert not breaker.is_paused(135.0)


def test_exits_that_were_just_used_may_have_used_up_a_limit_of_their_own() -> None:
    assert told(Breaker(most=8), "yahoo_limit", range(9), idle_s=60.0) is None


def test_a_fault_of_the_server_is_nobodys_own_however_lately_he_was_used() -> None:
    trip = told(Breaker(most=8), "server_error", range(5), idle_s=1.0)
    assert trip is not None
    assert trip.pause_s == 10.0


def test_dead_proxies_never_trip_it() -> None:
    breaker = Breaker(most=8)
    causes: tuple[Cause, ...] = ("refused", "timeout", "reset", "bad_certificate", "connect_denied", "proxy_limit")
    for cause in causes:
        assert told(breaker, cause, range(30)) is None
    assert breaker.concurrency == 8


def test_good_answers_beside_the_refusals_speak_against_it() -> None:
    breaker = Breaker(most=8)
    told(breaker, "ok", range(10, 18))
    assert told(breaker, "yahoo_limit", range(5)) is None


def test_after_a_pause_one_request_sees_whether_it_is_over() -> None:
    breaker = Breaker(most=8)
    told(breaker, "server_error", range(5))
    assert breaker.concurrency == 1
    again = breaker.note("10.0.0.9", "server_error", idle_s=RESTED_S, now_s=111.0)
    assert again is not None
    assert again.pause_s == 10.0
    assert breaker.note("10.0.0.8", "ok", idle_s=RESTED_S, now_s=122.0) is None
    assert breaker.concurrency == 8


def test_what_was_under_way_when_it_tripped_is_forgiven_as_well() -> None:
    breaker = Breaker(most=8)
    told(breaker, "yahoo_limit", range(5))
    late = breaker.note("10.0.0.7", "yahoo_limit", idle_s=0.0, now_s=101.0)
    assert late == Trip(cause="yahoo_limit", pause_s=0.0, exits=frozenset({"10.0.0.7"}))


def test_a_limit_for_all_halves_what_is_dared_and_forty_good_answers_dare_one_more() -> None:
    breaker = Breaker(most=8)
    told(breaker, "yahoo_limit", range(5))
    told(breaker, "ok", range(10, 11), now_s=200.0)
    assert breaker.concurrency == 4
    told(breaker, "ok", range(39), now_s=200.0)
    assert breaker.concurrency == 5


@pytest.mark.parametrize("cause", ["captcha", "html", "foreign", "tampered"])
def test_what_a_proxy_makes_of_an_answer_is_its_own_fault(cause: Cause) -> None:
    assert told(Breaker(most=8), cause, range(20)) is None
