from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxies.model import Address, Cause, Member
from proxies.states import (
    DAY_S,
    HALF_LIFE_S,
    MONTH_S,
    RULES,
    after,
    is_banned,
    score,
    with_identity,
    woken,
)

NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
NEW = Member(address=Address("http", "192.0.2.7", 8080), first_seen=NOW)
LIVE = after(NEW, "ok", now=NOW, latency_ms=1000.0)
GOLD = with_identity(LIVE, exit_ip="198.51.100.7", cookie="A3=x", crumb="abc", now=NOW)

causes = st.sampled_from(sorted(get_args(Cause)))
steps = st.lists(st.tuples(causes, st.floats(0.0, 7200.0), st.booleans()), max_size=40)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def lived(path: list[tuple[Cause, float, bool]]) -> list[tuple[Member, datetime]]:
    """Return the member after each step; now and then it is woken or gets an identity."""
    member, now, seen = NEW, NOW, []
    for cause, wait_s, promoted in path:
        now += timedelta(seconds=wait_s)
        member = after(woken(member, now), cause, now=now, latency_ms=500.0)
        if promoted:
            member = with_identity(member, exit_ip="198.51.100.7", cookie="A3=x", crumb="abc", now=now)
        seen.append((member, now))
    return seen


@given(steps)
def test_a_wrong_certificate_never_comes_back(path: list[tuple[Cause, float, bool]]) -> None:
    banned = False
    for (member, now), (cause, _, _) in zip(lived(path), path, strict=True):
        banned = banned or member.bad_certificate
        assert not banned or (member.state == "evicted" and woken(member, now + timedelta(days=999)) == member), cause


@given(steps)
def test_gold_has_an_exit_address_a_cookie_a_crumb_and_a_good_answer(path: list[tuple[Cause, float, bool]]) -> None:
    for member, _ in lived(path):
        if member.state == "gold":
            assert member.exit_ip and member.cookie and member.crumb and member.ok
        if member.state == "live":
            assert member.ok


@given(steps)
def test_every_cooling_ends(path: list[tuple[Cause, float, bool]]) -> None:
    for member, now in lived(path):
        if member.state in ("cooling", "evicted") and not member.bad_certificate:
            assert member.cool_until is not None and member.cool_until <= now + timedelta(seconds=MONTH_S)
            assert woken(member, member.cool_until).state in ("candidate", "live", "gold")


@given(steps)
def test_what_is_usable_does_not_cool_and_what_cools_is_not_usable(path: list[tuple[Cause, float, bool]]) -> None:
    for member, now in lived(path):
        assert member.is_cooling(now) is (member.state in ("cooling", "evicted")) or woken(member, now) != member


@given(steps)
def test_scores_stay_between_nothing_and_one_and_fade_to_the_middle(path: list[tuple[Cause, float, bool]]) -> None:
    for member, now in lived(path):
        assert 0.0 < score(member, now) < 1.0
        assert score(member, now + timedelta(days=2)) == pytest.approx(0.5, abs=1e-6)


@given(steps, causes)
def test_only_a_good_answer_adds_to_the_good_ones(path: list[tuple[Cause, float, bool]], cause: Cause) -> None:
    member, now = [(NEW, NOW), *lived(path)][-1]
    assert after(member, cause, now=now).ok == member.ok + (cause == "ok" and not is_banned(member, now))


def test_every_cause_has_its_rule() -> None:
    assert set(RULES) == set(get_args(Cause)) - {"ok"}


@pytest.mark.parametrize(
    ("cause", "state", "cool_s"),
    [
        ("refused", "cooling", 20),
        ("timeout", "cooling", 20),
        ("reset", "cooling", 20),
        ("connect_denied", "cooling", 20),
        ("needs_password", "evicted", 86_400),
        ("bad_certificate", "evicted", 30 * 86_400),
        ("proxy_limit", "cooling", 60),
        ("yahoo_limit", "cooling", 120),
        ("consent", "cooling", 6 * 3600),
        ("captcha", "cooling", 3600),
        ("html", "cooling", 60),
        ("not_json", "cooling", 60),
        ("foreign", "cooling", 60),
        ("stale", "cooling", 60),
        ("too_big", "cooling", 60),
        ("tampered", "evicted", 30 * 86_400),
        ("own_exit", "evicted", 30 * 86_400),
        ("server_error", "gold", None),
        ("crumb_refused", "live", None),
    ],
)
def test_a_first_failure_of_a_gold_one(cause: Cause, state: str, cool_s: float | None) -> None:
    failed = after(GOLD, cause, now=NOW)
    assert failed.state == state
    assert failed.cool_until == (None if cool_s is None else later(cool_s))


@pytest.mark.parametrize("cause", ["proxy_limit", "yahoo_limit", "consent", "captcha", "crumb_refused", "server_error"])
def test_what_is_not_the_proxys_fault_costs_it_no_score(cause: Cause) -> None:
    assert score(after(GOLD, cause, now=NOW), NOW) == score(GOLD, NOW)


def test_cooling_doubles_and_the_sixth_failure_in_a_row_evicts() -> None:
    member, waits = GOLD, []
    for _ in range(6):
        member = after(member, "timeout", now=NOW)
        assert member.cool_until is not None
        waits.append((member.cool_until - NOW).total_seconds())
    assert waits == [20, 40, 80, 160, 320, 6 * 3600]
    assert member.state == "evicted"


def test_one_good_answer_ends_a_row_of_failures() -> None:
    member = GOLD
    for _ in range(5):
        member = after(member, "timeout", now=NOW)
    member = after(member, "ok", now=later(700))
    assert (member.state, member.fails_in_a_row, member.cool_until, member.last_error) == ("gold", 0, None, None)


def test_a_candidate_that_fails_is_out_for_hours_and_a_limited_one_only_waits() -> None:
    assert after(NEW, "timeout", now=NOW).cool_until == later(6 * 3600)
    assert after(NEW, "connect_denied", now=NOW).cool_until == later(DAY_S)
    assert after(NEW, "yahoo_limit", now=NOW).state == "cooling"
    assert after(NEW, "server_error", now=NOW).state == "candidate"


def test_two_strikes_within_half_an_hour_put_it_out_for_a_day_and_two_in_a_day_do_not() -> None:
    once = after(GOLD, "foreign", now=NOW)
    assert after(once, "foreign", now=later(HALF_LIFE_S)).state == "evicted"
    assert after(once, "foreign", now=later(HALF_LIFE_S)).cool_until == later(HALF_LIFE_S + DAY_S)
    assert after(once, "foreign", now=later(DAY_S)).state == "cooling"


def test_a_good_answer_does_not_bring_a_liar_back() -> None:
    liar = after(GOLD, "tampered", now=NOW)
    assert after(liar, "ok", now=later(5)) == liar
    assert not liar.has_identity
    dead = after(NEW, "timeout", now=NOW)
    assert after(dead, "ok", now=later(5)).state == "live", "it was only dead"


def test_a_crumb_that_wears_out_is_minted_anew_and_one_refused_again_rests_the_exit() -> None:
    worn = after(GOLD, "crumb_refused", now=NOW)
    assert (worn.state, worn.has_identity, worn.cool_until) == ("live", False, None)
    minted = with_identity(worn, exit_ip="198.51.100.7", cookie="A3=y", crumb="def", now=NOW)
    assert minted.state == "gold"
    again = after(minted, "crumb_refused", now=later(1))
    assert (again.state, again.cool_until) == ("cooling", later(601))


def test_a_ban_is_not_shortened_by_a_later_failure() -> None:
    struck = after(after(LIVE, "html", now=NOW), "html", now=NOW)
    assert struck.state == "evicted"
    assert after(struck, "timeout", now=later(1)) == struck


def test_what_was_evicted_begins_again_as_a_candidate_once_its_time_is_over() -> None:
    out = after(NEW, "refused", now=NOW)
    assert woken(out, later(6 * 3600 - 1)) == out
    again = woken(out, later(6 * 3600))
    assert (again.state, again.cool_until, again.fails_in_a_row) == ("candidate", None, 0)


def test_latency_is_an_average_in_which_the_newer_counts_more() -> None:
    assert after(LIVE, "ok", now=NOW, latency_ms=2000.0).latency_ms == pytest.approx(1300.0)
    assert after(LIVE, "ok", now=NOW).latency_ms == 1000.0


def test_an_identity_makes_no_gold_of_one_that_never_answered() -> None:
    assert with_identity(NEW, exit_ip="198.51.100.7", cookie="A3=x", crumb="abc", now=NOW).state == "candidate"
    assert with_identity(LIVE, exit_ip="198.51.100.7", cookie="", crumb="", now=NOW).state == "live"
    assert replace(GOLD, crumb="").has_identity is False


def test_one_that_never_answered_wakes_as_a_candidate_whatever_was_minted_through_it() -> None:
    limited = after(NEW, "yahoo_limit", now=NOW)
    known = with_identity(limited, exit_ip="198.51.100.7", cookie="A3=x", crumb="abc", now=NOW)
    assert woken(known, later(120)).state == "candidate"
