from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from market.quotes import Quote
from proxies.breaker import Breaker
from proxies.model import Address, Cause, Member
from proxies.rotation import Rotation
from scanners.metrics.plan import DIRECT, Accepted, Ask, Heard, Plan
from scanners.metrics.staging import Judge, Version
from scanners.sweep import batches_of

NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
TICKERS = tuple(f"T{number}" for number in range(12))
TRUE = {each: Quote(ticker=each, previous_close=10.0 + n) for n, each in enumerate(TICKERS)}
FALSE = {each: replace(quote, previous_close=(quote.previous_close or 0) * 1.02) for each, quote in TRUE.items()}


class Stage:
    """A plan whose orders the test obeys; `knows`: the table vouches."""

    def __init__(self, exits: int = 6, *, size: int = 4, knows: bool = True, direct: bool = False) -> None:
        rotation = Rotation(rest_s=0.0)
        members = [
            Member(
                address=Address("http", f"8.8.0.{number}", 80),
                state="gold",
                ok=1,
                exit_ip=f"e{number}",
                first_seen=NOW,
                last_checked=NOW,
                cookie="A3=x",
                crumb="y",
            )
            for number in range(exits)
        ]
        rotation.hold(members, now=NOW, now_s=0.0)
        judge = Judge(trusted={DIRECT}, rng=random.Random(1))
        judge.known = TRUE if knows else {}
        self.plan = Plan(
            rotation=rotation,
            breaker=Breaker(most=8),
            judge=judge,
            direct_after_s=300.0 if direct else math.inf,
            direct_vouches=direct,
        )
        self.plan.begin(batches_of(TICKERS, size))
        rotation.begin(100)
        self.now_s = 0.0

    def next(self) -> Ask:
        ask = self.plan.next(now_s=self.now_s)
        assert ask is not None
        return ask

    def heard(self) -> Heard:
        return Heard(now=NOW + timedelta(seconds=self.now_s), now_s=self.now_s, latency_s=1.0)

    def answer(self, ask: Ask, quotes: Mapping[str, Quote] = TRUE, *, without: str = "") -> list[Accepted]:
        source = ask.member.exit if ask.member else DIRECT
        got = {each: quotes[each] for each in ask.tickers if each != without}
        missing = tuple(each for each in ask.tickers if each not in got)
        return self.plan.answered(ask, Version(source, got, missing=missing), self.heard())

    def fail(self, ask: Ask, cause: Cause | None = "reset") -> None:
        self.plan.failed(ask, cause, self.heard())


def exit_of(ask: Ask) -> str:
    assert ask.member is not None
    return ask.member.exit


def test_each_batch_is_asked_for_once_through_exits_of_their_own() -> None:
    stage = Stage()
    asks = [stage.next() for _ in range(3)]
    assert stage.plan.next(now_s=0.0) is None
    assert sorted(ticker for ask in asks for ticker in ask.tickers) == sorted(TICKERS)
    assert len({exit_of(ask) for ask in asks}) == 3
    accepted = [each for ask in asks for each in stage.answer(ask)]
    assert {ticker for each in accepted for ticker in each.version.quotes} == set(TICKERS)
    assert stage.plan.is_over


def test_a_batch_that_failed_is_asked_for_again_through_another_exit() -> None:
    stage = Stage(size=12)
    tried = set()
    for _ in range(6):
        ask = stage.next()
        assert exit_of(ask) not in tried
        tried.add(exit_of(ask))
        stage.fail(ask)
    assert len(tried) == 6
    assert not stage.plan.is_over


def test_where_nothing_vouches_for_a_batch_two_exits_are_asked_for_two_tickers_of_each() -> None:
    stage = Stage(knows=False)
    for ask in [stage.next() for _ in range(3)]:
        assert stage.answer(ask) == []
    for last in (False, True):
        ask = stage.next()
        assert (ask.is_testimony, len(ask.batches), len(ask.tickers)) == (True, 2, 4)  # as many as a list may hold
        stage.now_s += 10.0
        other = stage.next()
        assert (other.is_testimony, len(other.batches), len(other.tickers)) == (True, 1, 2)
        accepted = [*stage.answer(ask), *stage.answer(other)]
        assert len(accepted) == (3 if last else 0)
    assert stage.plan.is_over


def test_who_brought_one_batch_may_vouch_for_the_others() -> None:
    """Else only those are left to be asked who have answered nobody yet: the dead."""
    stage = Stage(exits=4, knows=False)
    for ask in [stage.next() for _ in range(3)]:
        assert stage.answer(ask) == []
    accepted = []
    for _ in range(10):
        stage.now_s += 1.0
        if (ask_ := stage.plan.next(now_s=stage.now_s)) is None:
            continue
        if exit_of(ask_) == "e3":
            stage.fail(ask_)
        else:
            accepted += stage.answer(ask_)
    assert len(accepted) == 3
    assert stage.plan.is_over


def test_the_direct_lane_vouches_for_staged_batches_where_it_may() -> None:
    stage = Stage(knows=False, direct=True)
    for ask in [stage.next() for _ in range(3)]:
        stage.answer(ask)
    assert stage.plan.next(now_s=0.0) is None
    accepted = []
    while (direct := stage.plan.next_direct(now_s=0.0)) is not None:
        assert (direct.member, direct.is_testimony) == (None, True)
        accepted += stage.answer(direct)
    assert len(accepted) == 3


def test_who_lied_is_banned_and_all_that_he_brought_this_cycle_is_asked_for_again() -> None:
    stage = Stage(knows=False, direct=True, size=3)
    asks = [stage.next() for _ in range(4)]
    liar = exit_of(asks[0])
    for ask in asks:
        stage.answer(ask, FALSE if exit_of(ask) == liar else TRUE)
    accepted = []
    for _ in range(20):
        ask_ = stage.plan.next_direct(now_s=0.0) or stage.plan.next(now_s=0.0)
        if ask_ is None:
            break
        accepted += stage.answer(ask_)
    assert stage.plan.is_over
    assert stage.plan.banned == [liar]
    written = {ticker: quote for each in accepted for ticker, quote in each.version.quotes.items()}
    assert written == TRUE
    assert all(member.exit != liar for member in stage.plan.rotation.members())


def test_what_a_liar_had_brought_before_he_was_found_out_is_rechecked() -> None:
    stage = Stage(exits=1, size=4, direct=True)
    first = stage.next()
    assert len(stage.answer(first)) == 1  # the table saw nothing wrong in it
    second = stage.next()
    stage.answer(second, FALSE)
    direct = stage.plan.next_direct(now_s=400.0)
    while direct is not None:
        stage.answer(direct)
        direct = stage.plan.next_direct(now_s=400.0)
    assert stage.plan.banned == [exit_of(first)]
    assert stage.plan.rechecked == 1
    assert len(stage.plan.done) == 3


def test_the_direct_lane_takes_what_is_left_once_its_time_has_come() -> None:
    stage = Stage(direct=True)
    assert stage.plan.next_direct(now_s=299.0) is None
    ask = stage.plan.next_direct(now_s=300.0)
    assert ask is not None
    assert (ask.member, len(ask.tickers)) == (None, 4)


def test_the_direct_lane_takes_all_at_once_when_the_pool_is_empty() -> None:
    stage = Stage(exits=0, direct=True)
    assert stage.plan.next(now_s=0.0) is None
    assert stage.plan.next_direct(now_s=0.0) is not None


def test_a_list_is_halved_once_two_exits_have_refused_its_length_and_so_are_the_others() -> None:
    stage = Stage(size=4)
    for _ in range(2):
        ask = next(ask for ask in [stage.next()] if ask.tickers)
        stage.plan.refused_length(ask, stage.heard())
        stage.plan.line.rotate(1)  # the same batch again
    assert sorted(len(batch.tickers) for batch in stage.plan.line) == [2] * 6
    assert sorted(ticker for batch in stage.plan.line for ticker in batch.tickers) == sorted(TICKERS)


def test_one_exit_alone_cannot_have_the_lists_halved() -> None:
    stage = Stage(size=4)
    stage.plan.refused_length(stage.next(), stage.heard())
    assert [len(batch.tickers) for batch in stage.plan.line] == [4, 4, 4]


def test_what_a_proxy_left_out_is_asked_for_once_more_elsewhere() -> None:
    stage = Stage(size=12)
    stage.plan.judge.known = {each: quote for each, quote in TRUE.items() if each != "T5"}
    first = stage.next()
    stage.answer(first, without="T5")
    assert not stage.plan.is_over
    again = stage.next()
    assert again.tickers == ("T5",)
    assert exit_of(again) != exit_of(first)
    stage.plan.judge.known = TRUE
    assert len(stage.answer(again)) == 1
    assert stage.plan.missing == {}
    assert stage.plan.is_over


def test_an_answer_without_half_of_what_was_asked_is_none() -> None:
    stage = Stage(size=12)
    ask = stage.next()
    few = Version(exit_of(ask), {each: TRUE[each] for each in TICKERS[:5]})
    assert stage.plan.answered(ask, few, stage.heard()) == []
    member = stage.plan.rotation.member(ask.member.address) if ask.member else None
    assert member is not None
    assert member.last_error == "foreign"
    assert len(stage.plan.line) == 1


def test_while_yahoo_is_down_nothing_is_asked_and_nobody_is_blamed() -> None:
    stage = Stage(exits=8, size=1)
    for ask in [stage.next() for _ in range(8)]:
        stage.fail(ask, "server_error")
    assert stage.plan.trips[0].cause == "server_error"
    assert stage.plan.next(now_s=9.0) is None
    assert stage.plan.wake_s(now_s=0.0) == 10.0
    assert stage.plan.next(now_s=10.0) is not None
    assert stage.plan.next(now_s=10.0) is None  # one sees whether it is over
    assert all(member.fails_in_a_row == 0 for member in stage.plan.rotation.members())


def test_a_plan_tells_when_to_look_again() -> None:
    stage = Stage(exits=1, size=12, direct=True)
    ask = stage.next()
    assert stage.plan.wake_s(now_s=0.0) == 300.0  # when the direct lane may
    stage.fail(ask, "reset")
    assert stage.plan.wake_s(now_s=0.0) == 20.0  # when the exit has cooled


def test_a_ticker_that_nobody_knows_is_asked_for_twice_and_nobody_is_blamed() -> None:
    stage = Stage()
    for _ in range(3):
        stage.answer(stage.next(), without="T0")
    while not stage.plan.is_over and stage.plan.line and stage.plan.line[0].tickers != ("T0",):
        stage.answer(stage.next(), without="T0")
    again = stage.next()
    assert again.tickers == ("T0",)
    stage.answer(again, without="T0")
    assert stage.plan.is_over
    assert all(member.last_error is None for member in stage.plan.rotation.members())


def test_the_second_exit_that_tells_less_than_half_is_heard() -> None:
    stage = Stage(size=12)
    few = {each: TRUE[each] for each in TICKERS[:4]}
    for expected in (0, 1):
        ask = stage.next()
        missing = TICKERS[4:]
        stage.plan.answered(ask, Version(exit_of(ask), few, missing=missing), stage.heard())
        member = stage.plan.rotation.member(ask.member.address) if ask.member else None
        assert member is not None and (member.last_error == "foreign") is (expected == 0)


STRANGE = replace(TRUE["T5"], current_price=20.0, market_cap=2100.0, shares_outstanding=100)


def test_a_strange_ticker_is_not_written_before_another_exit_has_told_it() -> None:
    stage = Stage(size=12)
    first = stage.next()
    (accepted,) = stage.answer(first, TRUE | {"T5": STRANGE})
    assert set(accepted.version.quotes) == set(TICKERS) - {"T5"}
    assert not stage.plan.is_over
    again = stage.next()
    assert (again.tickers, exit_of(again) != exit_of(first)) == (("T5",), True)
    (accepted,) = stage.answer(again)
    assert accepted.version.quotes == {"T5": TRUE["T5"]}
    assert (stage.plan.withheld, stage.plan.is_over) == ({}, True)


def test_what_two_exits_tell_as_strangely_is_written_and_not_doubted_again() -> None:
    stage = Stage(size=12)
    for expected in (set(TICKERS) - {"T5"}, {"T5"}):
        assert not stage.plan.is_over
        (accepted,) = stage.answer(stage.next(), TRUE | {"T5": STRANGE})
        assert set(accepted.version.quotes) == expected
    assert stage.plan.judge.odd_ones == {"T5"}
    assert stage.plan.judge.strange(accepted.version) == {}


def test_where_two_exits_tell_different_strange_numbers_none_is_written() -> None:
    stage = Stage(size=12)
    stage.answer(stage.next(), TRUE | {"T5": STRANGE})
    assert not stage.plan.is_over
    (accepted,) = stage.answer(stage.next(), TRUE | {"T5": replace(STRANGE, market_cap=2200.0)})
    assert accepted.version.quotes == {}
    assert (set(stage.plan.withheld), stage.plan.is_over) == ({"T5"}, True)


def test_the_direct_lane_needs_no_second_word() -> None:
    stage = Stage(size=12, direct=True)
    ask = stage.plan.next_direct(now_s=300.0)
    assert ask is not None
    (accepted,) = stage.answer(ask, TRUE | {"T5": STRANGE})
    assert set(accepted.version.quotes) == set(TICKERS)
