from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxies.model import Address, Member
from proxies.rotation import Rotation, timeout_s

NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
MANY = 1000
"""Waiting batches: then everybody is wanted."""


def member(number: int, **more: object) -> Member:
    """A gold one that answered last."""
    given = {"state": "gold", "ok": 1, "first_seen": NOW, "last_checked": NOW, "cookie": "A3=x", "crumb": "y"} | more
    exit_ip = given.pop("exit_ip", f"198.18.0.{number}")
    return Member(address=Address("http", f"8.8.0.{number}", 80), exit_ip=exit_ip, **given)  # type: ignore[arg-type]


def holding(*members: Member, rest_s: float = 12.0, batches: int = 100) -> Rotation:
    rotation = Rotation(rest_s=rest_s)
    rotation.hold(members, now=NOW, now_s=0.0)
    rotation.begin(batches)
    return rotation


def picked(rotation: Rotation, *, now_s: float = 0.0, tried: frozenset[str] = frozenset(), waiting: int = MANY) -> int:
    """Return the number of who is picked, 0 for nobody."""
    found = rotation.pick(tried=tried, now_s=now_s, waiting=waiting)
    return int(found.address.ip.rpartition(".")[2]) if found else 0


def used(rotation: Rotation, one: Member, *, now_s: float, cause: str | None = "ok", took_s: float = 1.0) -> Member:
    rotation.started(one, now_s=now_s)
    end_s = now_s + took_s
    at = NOW + timedelta(seconds=end_s)
    return rotation.ended(one, cause, now=at, now_s=end_s, latency_s=took_s, brought=cause == "ok")  # type: ignore[arg-type]


def test_last_good_comes_before_never_tried_and_that_before_failed() -> None:
    failed, never, good = member(1, last_error="reset", crumb=""), member(2, last_checked=None, crumb=""), member(3)
    rotation = holding(failed, never, good)
    assert picked(rotation) == 3
    rotation.started(good, now_s=0.0)
    assert picked(rotation) == 2
    rotation.started(never, now_s=0.0)
    assert picked(rotation) == 1


def test_a_stranger_to_mint_through_comes_after_one_that_has_a_crumb() -> None:
    assert picked(holding(member(1, last_checked=None, crumb=""), member(2, last_error="reset"))) == 2


def test_only_one_of_a_known_exit_is_picked_to_vouch() -> None:
    unknown, known = member(1, exit_ip=None), member(2)
    rotation = holding(unknown, known, rest_s=0.0)
    rotation.started(known, now_s=0.0)
    assert picked(rotation) == 1
    assert rotation.pick(tried=(), now_s=0.0, waiting=0, vouching=True) is None
    assert rotation.next_s(now_s=0.0, waiting=0, vouching=True) == math.inf
    used(rotation, known, now_s=1.0)
    found = rotation.pick(tried=(), now_s=9.0, waiting=0, vouching=True)
    assert found is not None and found.address == known.address


def test_the_least_recently_used_comes_first() -> None:
    one, two = member(1), member(2)
    rotation = holding(one, two)
    used(rotation, one, now_s=0.0)
    used(rotation, two, now_s=5.0)
    assert picked(rotation, now_s=100.0) == 1


def test_an_exit_has_one_request_under_way_and_a_rest_however_many_proxies_lead_to_it() -> None:
    one, same = member(1, exit_ip="198.18.9.9"), member(2, exit_ip="198.18.9.9")
    rotation = holding(one, same)
    rotation.started(one, now_s=0.0)
    assert picked(rotation, now_s=100.0) == 0
    rotation.ended(one, "ok", now=NOW, now_s=100.0, latency_s=1.0)
    assert picked(rotation, now_s=111.9) == 0
    assert rotation.next_s(now_s=100.0, waiting=MANY) == 112.0
    assert picked(rotation, now_s=112.0) in (1, 2)


def test_after_minting_an_exit_rests_twice_as_long() -> None:
    one = member(1)
    rotation = holding(one)
    rotation.started(one, now_s=0.0)
    rotation.ended(one, "ok", now=NOW, now_s=3.0, latency_s=3.0, minted=True)
    assert rotation.next_s(now_s=3.0, waiting=MANY) == 27.0


def test_a_failed_one_cools_and_then_comes_back() -> None:
    one = member(1)
    rotation = holding(one)
    after = used(rotation, one, now_s=0.0, cause="reset")
    assert after.cool_until == NOW + timedelta(seconds=21)
    assert picked(rotation, now_s=20.9) == 0
    assert picked(rotation, now_s=21.1) == 1


def test_a_wrong_certificate_never_comes_back() -> None:
    one = member(1)
    rotation = holding(one)
    banned = used(rotation, one, now_s=0.0, cause="bad_certificate")
    rotation.hold([banned], now=NOW, now_s=1e9)
    assert (len(rotation), rotation.has_any()) == (0, False)


def test_an_exit_that_was_tried_for_a_batch_is_not_tried_again_while_another_is_left() -> None:
    rotation = holding(member(1), member(2))
    tried = frozenset({"198.18.0.1"})
    assert picked(rotation, tried=tried) == 2
    rotation.started(member(2), now_s=0.0)
    assert picked(rotation, tried=tried) == 0  # it is waited for
    assert picked(holding(member(1)), tried=tried) == 1


def test_where_enough_exits_answered_well_one_of_them_is_waited_for() -> None:
    """To try out strangers costs requests, and each of these sees a part of what we ask."""
    good = [member(number) for number in range(1, 7)]
    rotation = holding(*good, member(7, last_checked=None))
    for one in good:
        rotation.started(one, now_s=0.0)
    assert picked(rotation, waiting=10) == 0
    assert picked(rotation, waiting=MANY) == 7


def test_where_many_attempts_fail_fewer_exits_are_tried_out() -> None:
    """By hand: 90 batches of 15 s within 50 s want 27 exits; where half of the attempts fail, within 200 s, 7."""
    for fails, expected in ((0, 41), (1, 0)):
        good = [replace(member(number), ok=1, fail=fails) for number in range(1, 14)]
        rotation = holding(*good, member(41, last_checked=None))
        for one in good:
            rotation.started(one, now_s=0.0)
        assert picked(rotation, waiting=90) == expected


def resting(rotation: Rotation, good: list[Member]) -> None:
    for one in good:
        rotation.started(one, now_s=0.0)


def test_one_good_exit_too_few_brings_back_one_that_failed_and_no_stranger() -> None:
    """By hand: 20 batches of 15 s within 50 s want 6 exits; there are five good ones, and they are busy."""
    good = [member(number) for number in range(1, 6)]
    failed, stranger = member(7, last_error="reset"), member(8, last_checked=None, crumb="")
    rotation = holding(*good, failed, stranger)
    resting(rotation, good)
    assert picked(rotation, waiting=20) == 7
    rotation.started(failed, now_s=0.0)
    assert picked(rotation, waiting=20) == 0


def test_one_that_cools_for_long_is_not_counted_on() -> None:
    good = [member(number) for number in range(1, 6)]
    cooling = member(7, last_error="reset", state="cooling", cool_until=NOW + timedelta(seconds=300))
    rotation = holding(*good, cooling, member(8, last_checked=None, crumb=""))
    resting(rotation, good)
    assert picked(rotation, waiting=20) == 8


def test_as_a_cycles_time_runs_out_strangers_are_tried() -> None:
    """By hand: 14 batches of 15 s within 50 s want 4.2 exits, and within the last 30 s 7."""
    good = [member(number) for number in range(1, 7)]
    rotation = holding(*good, member(7, last_checked=None, crumb=""))
    resting(rotation, good)
    assert picked(rotation, now_s=0.0, waiting=14) == 0
    assert picked(rotation, now_s=30.0, waiting=14) == 7
    rotation.begin(100)
    assert picked(rotation, now_s=60.0, waiting=14) == 0


def test_no_exit_brings_more_than_a_fifth_of_a_cycles_batches() -> None:
    one = member(1)
    rotation = holding(one, rest_s=0.0, batches=10)
    used(rotation, one, now_s=0.0)
    assert rotation.has_any()
    used(rotation, one, now_s=10.0)
    assert (picked(rotation, now_s=100.0), rotation.has_any()) == (0, False)
    rotation.begin(10)
    assert picked(rotation, now_s=100.0) == 1


def test_forgiven_an_exit_is_as_it_was() -> None:
    one = member(1)
    rotation = holding(one, rest_s=0.0)
    used(rotation, one, now_s=0.0, cause="yahoo_limit")
    assert picked(rotation, now_s=10.0) == 0
    rotation.forgive({one.exit}, now_s=10.0)
    assert picked(rotation, now_s=10.0) == 1
    assert rotation.member(one.address) == one


def test_what_is_known_better_here_is_kept_over_what_the_table_says() -> None:
    one = member(1)
    rotation = holding(one)
    failed = used(rotation, one, now_s=0.0, cause="reset")
    rotation.hold([one], now=NOW, now_s=1.0, newer={one.address})
    assert rotation.member(one.address) == failed
    rotation.hold([one], now=NOW, now_s=1.0)
    assert rotation.member(one.address) == one


def test_one_that_was_limited_before_proves_nothing_by_its_rest() -> None:
    one = member(1)
    rotation = holding(one)
    used(rotation, one, now_s=0.0)
    rotation.started(one, now_s=300.0)
    assert rotation.idle_before_s(one) == 300.0
    assert rotation.idle_before_s(replace(one, last_error="yahoo_limit")) == 0.0


@pytest.mark.parametrize(
    ("latencies_s", "limit_s"),
    [([], 10.0), ([0.1] * 10, 4.0), ([2.0] * 10, 5.0), ([1.0, 1.0, 1.0, 2.0, 9.0], 5.0), ([9.0] * 3, 10.0)],
)
def test_the_timeout_follows_what_four_answers_of_five_keep_to(latencies_s: list[float], limit_s: float) -> None:
    assert timeout_s(latencies_s) == limit_s


@given(st.lists(st.tuples(st.integers(1, 6), st.sampled_from(["ok", "reset", "timeout", "yahoo_limit"])), max_size=40))
def test_whatever_happens_no_exit_is_asked_twice_at_once_or_without_its_rest(steps: list[tuple[int, str]]) -> None:
    rotation = holding(*(member(number, exit_ip=f"198.18.0.{number % 3}") for number in range(1, 7)))
    ended_s: dict[str, float] = {}
    now_s = 0.0
    for wait_s, cause in steps:
        now_s += wait_s
        found = rotation.pick(tried=(), now_s=now_s, waiting=MANY)
        if found is None:
            continue
        assert now_s - ended_s.get(found.exit, -1e9) >= 12.0
        used(rotation, found, now_s=now_s, cause=cause, took_s=0.5)
        ended_s[found.exit] = now_s + 0.5
