from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from proxies import pool
from proxies.model import Address, Cause, Outcome
from storage.engine import open_reader_engine
from storage.writer import Writer
from tests.fix_storage import NOON, StillClock

FIRST, SECOND, THIRD = (Address("http", f"192.0.2.{number}", 8080) for number in (1, 2, 3))
SAME_HOST = Address("socks5", "192.0.2.1", 1080)
ROOT = Path(__file__).parents[2]
HOUR = timedelta(hours=1)


@pytest.fixture
def url(sqlite_file: Path) -> str:
    return f"sqlite:///{sqlite_file}"


@pytest.fixture
def table(url: str) -> Iterator[Writer]:
    with Writer.open(url, service="test", origin="practice", clock=StillClock()) as opened:
        yield opened


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    opened = open_reader_engine(url, service="test")
    yield opened
    opened.dispose()


def seen(address: Address, cause: Cause, minutes: float = 0.0) -> Outcome:
    return Outcome(address=address, cause=cause, at=NOON + timedelta(minutes=minutes), latency_ms=500.0)


def states(engine: Engine) -> dict[Address, str]:
    return {each.address: each.state for each in pool.load(engine)}


def test_what_is_found_twice_is_one_with_both_lists(table: Writer, engine: Engine) -> None:
    assert pool.add(table, {FIRST: "https://a/", SECOND: "https://a/"}, at=NOON) == pool.Added(new=2, again=0, known=0)
    assert pool.add(table, {FIRST: "https://b/ https://a/"}, at=NOON) == pool.Added(new=0, again=0, known=1)
    found = {each.address: each.sources for each in pool.load(engine)}
    assert found == {FIRST: "https://a/ https://b/", SECOND: "https://a/"}


def test_the_dead_are_tried_again_when_a_list_names_them_after_their_time(table: Writer, engine: Engine) -> None:
    pool.add(table, {FIRST: "https://a/"}, at=NOON)
    pool.record(table, engine, [seen(FIRST, "refused")])
    assert pool.add(table, {FIRST: "https://a/"}, at=NOON + HOUR).known == 1
    assert states(engine)[FIRST] == "evicted"
    assert pool.add(table, {FIRST: "https://a/"}, at=NOON + 7 * HOUR).again == 1
    assert states(engine)[FIRST] == "candidate"


def test_outcomes_are_taken_in_the_order_of_their_times(table: Writer, engine: Engine) -> None:
    pool.add(table, {FIRST: "https://a/"}, at=NOON)
    (member,) = pool.record(table, engine, [seen(FIRST, "timeout", minutes=1), seen(FIRST, "ok")])
    assert (member.state, member.ok, member.fail, member.last_error) == ("cooling", 1, 1, "timeout")
    assert pool.load(engine) == [member]
    assert pool.record(table, engine, [seen(SECOND, "ok")]) == [], "not of the pool"


def test_a_wrong_certificate_bans_host_and_exit(table: Writer, engine: Engine) -> None:
    pool.add(table, dict.fromkeys((FIRST, SECOND, THIRD, SAME_HOST), "https://a/"), at=NOON)
    pool.record(table, engine, [seen(each, "ok") for each in (FIRST, SECOND, THIRD, SAME_HOST)])
    for each in (FIRST, SECOND):
        pool.set_identity(table, each, exit_ip="198.51.100.7", cookie="A3=x", crumb="abc", at=NOON)
    pool.record(table, engine, [seen(FIRST, "bad_certificate")])
    assert states(engine) == {FIRST: "evicted", SECOND: "evicted", SAME_HOST: "evicted", THIRD: "live"}
    assert {each.address for each in pool.load(engine) if each.bad_certificate} == {FIRST, SECOND, SAME_HOST}
    assert pool.add(table, {FIRST: "https://b/"}, at=NOON + 9000 * HOUR).known == 1
    assert states(engine)[FIRST] == "evicted"


def test_a_port_of_ones_own_gateway_is_banned_alone(table: Writer, engine: Engine) -> None:
    pool.add(table, {FIRST: "own", SAME_HOST: "own"}, at=NOON)
    pool.record(table, engine, [seen(FIRST, "bad_certificate")], is_own=lambda _ip: True)
    assert states(engine) == {FIRST: "evicted", SAME_HOST: "candidate"}


def test_changed_numbers_fall_on_the_exit_not_on_the_host(table: Writer, engine: Engine) -> None:
    pool.add(table, dict.fromkeys((FIRST, SECOND, SAME_HOST), "https://a/"), at=NOON)
    pool.record(table, engine, [seen(each, "ok") for each in (FIRST, SECOND, SAME_HOST)])
    for each in (FIRST, SECOND):
        pool.set_identity(table, each, exit_ip="198.51.100.7", cookie="A3=x", crumb="abc", at=NOON)
    pool.record(table, engine, [seen(FIRST, "tampered")])
    assert states(engine) == {FIRST: "evicted", SECOND: "evicted", SAME_HOST: "live"}


def test_a_banned_host_is_never_added(table: Writer, engine: Engine) -> None:
    assert pool.add(table, {FIRST: "https://a/", SECOND: "https://a/"}, at=NOON, banned_hosts={"192.0.2.1"}).new == 1
    assert list(states(engine)) == [SECOND]


def test_cookie_crumb_and_scores_survive_a_restart(table: Writer, url: str, engine: Engine) -> None:
    pool.add(table, {FIRST: "https://a/"}, at=NOON)
    pool.record(table, engine, [seen(FIRST, "ok")])
    gold = pool.set_identity(table, FIRST, exit_ip="198.51.100.7", cookie="A3=d=x", crumb="a/b", at=NOON)
    assert gold is not None and gold.state == "gold"
    table.close()
    again = open_reader_engine(url, service="again")
    assert pool.load(again) == [gold]
    again.dispose()


RECORD_ON_AND_ON = """
import sys
from datetime import timedelta
from core import logs
from core.clock import SystemClock
from proxies import pool
from proxies.model import Address, Outcome
from storage.engine import open_reader_engine
from storage.writer import Writer
clock = SystemClock()
logs.configure(service="killed", level="error", style="json")
writer = Writer.open(sys.argv[1], service="killed", origin="practice", clock=clock)
engine = open_reader_engine(sys.argv[1], service="killed")
crowd = [Address("http", f"192.0.2.{number}", 8080) for number in range(200)]
pool.add(writer, dict.fromkeys(crowd, "https://a/"), at=clock.utc_now())
for number in range(1, 100_000):
    pool.record(writer, engine, [Outcome(address=each, cause="ok", at=clock.utc_now()) for each in crowd])
    print(number, flush=True)
"""


def test_a_process_killed_while_it_records_leaves_whole_records_and_those_that_it_knew_of(database_url: str) -> None:
    command = [sys.executable, "-c", RECORD_ON_AND_ON, database_url]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = [int(process.stdout.readline()) for _ in range(3)]
    process.kill()
    rest, _ = process.communicate(timeout=60)
    told += [int(line) for line in rest.splitlines()]
    reader = open_reader_engine(database_url, service="test")
    counts = {member.ok for member in pool.load(reader)}
    assert len(counts) == 1, "no half of a record"
    assert counts.pop() >= told[-1]
    with Writer.open(database_url, service="test", origin="practice", clock=StillClock()) as next_one:
        assert len(pool.record(next_one, reader, [seen(FIRST, "ok", minutes=1)])) == 1
    reader.dispose()


def test_an_endless_cookie_is_not_kept(table: Writer, engine: Engine) -> None:
    pool.add(table, {FIRST: "https://a/"}, at=NOON)
    pool.record(table, engine, [seen(FIRST, "ok")])
    kept = pool.set_identity(table, FIRST, exit_ip="198.51.100.7", cookie="A3=" + "x" * 5000, crumb="a", at=NOON)
    assert kept is not None and (kept.state, kept.cookie, kept.crumb) == ("live", "", "")
    assert pool.set_identity(table, SECOND, exit_ip="198.51.100.7", cookie="A3=x", crumb="a", at=NOON) is None


def test_each_list_is_told_what_became_of_its_proxies(table: Writer, engine: Engine) -> None:
    pool.add(table, {FIRST: "https://a/ https://b/", SECOND: "https://b/"}, at=NOON)
    pool.record(table, engine, [seen(FIRST, "ok")])
    found = pool.yields(pool.load(engine))
    assert (found["https://a/"]["live"], found["https://b/"]["live"], found["https://b/"]["candidate"]) == (1, 1, 1)
