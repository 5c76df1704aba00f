from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from proxies import pool
from proxies.addresses import AddressFilter
from proxies.breaker import Trip
from proxies.model import Address, Member, Outcome
from proxies.own import OwnProxies, read_own
from proxies.rotation import Rotation
from scanners.metrics.members import Members, count, is_gateway
from storage.engine import open_reader_engine
from tests.fix_scanners import Stage

NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
ONE, TWO = Address("http", "8.8.0.1", 80), Address("socks5", "8.8.0.2", 1080)


@dataclass
class Kept:
    members: Members
    rotation: Rotation
    engine: Engine

    def hold(self) -> None:
        self.members.hold(self.members.read(), now=NOW, now_s=0.0)

    def row(self, address: Address) -> Member:
        return next(each for each in pool.load(self.engine) if each.address == address)


@contextmanager
def keeping(stage: Stage, *, own: Sequence[str] = (), known: Sequence[Address] = (ONE, TWO)) -> Iterator[Kept]:
    engine = open_reader_engine(stage.settings.database.url, service="test")
    with stage.writer() as writer:
        pool.add(writer, dict.fromkeys(known, "test"), at=NOW)
        pool.record(writer, engine, [Outcome(address=each, cause="ok", at=NOW, latency_ms=1.0) for each in known])
        for number, address in enumerate(known):
            pool.set_identity(writer, address, exit_ip=f"198.18.0.{number}", cookie="A3=x", crumb="y", at=NOW)
        rotation = Rotation(rest_s=0.0)
        proxies = read_own(own) if own else OwnProxies()
        members = Members(engine, writer, rotation, address_filter=AddressFilter(), own=proxies, sessions=3)
        yield Kept(members, rotation, engine)
    engine.dispose()


async def test_what_the_table_says_is_usable_is_held_and_a_private_address_is_not(still_stage: Stage) -> None:
    with keeping(still_stage, known=(ONE, TWO, Address("http", "10.0.0.1", 80))) as kept:
        kept.hold()
        assert {each.address for each in kept.rotation.members()} == {ONE, TWO}
        assert all(each.has_identity for each in kept.rotation.members())


async def test_outcomes_go_into_the_table_and_count_as_checks(still_stage: Stage) -> None:
    with keeping(still_stage) as kept:
        kept.hold()
        member = kept.rotation.member(ONE)
        assert member is not None
        kept.members.note(member, "reset", at=NOW + timedelta(seconds=5), now_s=5.0, latency_s=None)
        await kept.members.hand_back(now=NOW + timedelta(seconds=5))
        row = kept.row(ONE)
        assert (row.state, row.last_error, row.last_checked) == ("cooling", "reset", NOW + timedelta(seconds=5))


async def test_a_refusal_by_yahoo_is_held_back_for_a_minute_and_forgiven_if_it_met_all(still_stage: Stage) -> None:
    with keeping(still_stage) as kept:
        kept.hold()
        for member in kept.rotation.members():
            kept.members.note(member, "yahoo_limit", at=NOW, now_s=0.0, latency_s=1.0)
        await kept.members.hand_back(now=NOW + timedelta(seconds=30))
        assert kept.row(ONE).last_error is None
        kept.members.forgive(Trip(cause="yahoo_limit", pause_s=35.0, exits=frozenset({"198.18.0.0"})))
        await kept.members.hand_back(now=NOW + timedelta(seconds=61))
        assert (kept.row(ONE).last_error, kept.row(TWO).last_error) == (None, "yahoo_limit")


async def test_what_was_minted_is_kept_with_its_exit(still_stage: Stage) -> None:
    with keeping(still_stage) as kept:
        kept.hold()
        member = kept.rotation.member(ONE)
        assert member is not None
        kept.members.minted(Member(address=ONE, first_seen=NOW, exit_ip="198.18.0.0", cookie="A3=new", crumb="new"))
        await kept.members.hand_back(now=NOW)
        assert (kept.row(ONE).crumb, kept.row(TWO).crumb) == ("new", "y")


async def test_while_the_database_is_away_nothing_is_lost(still_stage: Stage) -> None:
    with keeping(still_stage) as kept:
        kept.hold()
        member = kept.rotation.member(ONE)
        assert member is not None
        kept.members.note(member, "reset", at=NOW + timedelta(seconds=5), now_s=5.0, latency_s=None)
        away = still_stage.file.with_suffix(".away")
        still_stage.file.rename(away)
        await kept.members.refresh(still_stage.clock)
        assert len(kept.rotation) == 2
        away.rename(still_stage.file)
        await kept.members.hand_back(now=NOW + timedelta(seconds=9))
        assert kept.row(ONE).last_error == "reset"


GATEWAY = "http://user-session-{session}:secret@gateway.example:8000"


async def test_a_gateway_is_one_member_with_a_session_for_each_request(still_stage: Stage) -> None:
    with keeping(still_stage, own=[GATEWAY], known=()) as kept:
        kept.hold()
        sessions = kept.rotation.members()
        assert (len(sessions), count(sessions)) == (3, 1)
        assert len({each.exit for each in sessions}) == 3
        urls = [kept.members.url_of(each.address) for each in sessions]
        assert len(set(urls)) == 3
        assert all(url.startswith("http://user-session-") and "{" not in url for url in urls)
        assert kept.members.trusted() == {each.exit for each in sessions}
        assert all(kept.members.refusal(each.address.ip, each.address.port) is None for each in sessions)


async def test_a_session_that_failed_is_left_for_another_and_none_goes_into_the_table(still_stage: Stage) -> None:
    with keeping(still_stage, own=[GATEWAY], known=()) as kept:
        kept.hold()
        one = kept.rotation.members()[0]
        before = kept.members.url_of(one.address)
        kept.members.note(one, "yahoo_limit", at=NOW, now_s=0.0, latency_s=1.0)
        assert kept.members.url_of(one.address) != before
        assert len(kept.rotation) == 3
        kept.hold()
        assert len(kept.rotation) == 3
        await kept.members.hand_back(now=NOW, is_last=True)
        assert still_stage.rows("SELECT * FROM proxy") == []
        assert all(is_gateway(each) for each in kept.rotation.members())


async def test_those_that_led_to_an_exit_are_known_after_it_was_dropped(still_stage: Stage) -> None:
    with keeping(still_stage) as kept:
        kept.hold()
        kept.rotation.drop("198.18.0.0")
        assert [each.address for each in kept.members.at_exit("198.18.0.0")] == [ONE]
