from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Engine

from storage.proxies import (
    Key,
    ProxyRow,
    SourceRow,
    change_proxies,
    count_proxies,
    forget_dead,
    keys_sharing,
    read_banned,
    read_proxies,
    read_refused,
    read_sources,
    write_sources,
)
from storage.writer import Writer
from tests.fix_storage import NOON

HOUR = timedelta(hours=1)
FULL = ProxyRow(
    address="192.0.2.7:8080",
    protocol="socks5",
    state="gold",
    first_seen=NOON,
    exit_ip="198.51.100.7",
    source="https://a/ https://b/",
    ok=7,
    fail=2,
    fails_in_a_row=1,
    latency_ms=812.5,
    last_checked=NOON,
    last_ok=NOON - HOUR,
    cool_until=NOON + HOUR,
    last_error="timeout",
    score_ok=3.5,
    score_fail=0.5,
    strikes=0.25,
    scored_at=NOON,
    cookie="A3=d=x; A1=y",
    crumb="a/b.c",
    minted_at=NOON,
)


def put(writer: Writer, *rows: ProxyRow) -> None:
    change_proxies(writer, [row.key for row in rows], lambda _kept: rows)


def named(address: str, *, state: str = "live", **more: object) -> ProxyRow:
    return replace(ProxyRow(address=address, protocol="http", state=state, first_seen=NOON), **more)  # type: ignore[arg-type]


def test_a_row_comes_back_as_it_was_written(writer: Writer, reader: Engine) -> None:
    put(writer, FULL)
    assert read_proxies(reader) == [FULL]
    changed = replace(FULL, state="cooling", crumb="", cool_until=None)
    put(writer, changed)
    assert read_proxies(reader) == [changed]


def test_a_change_sees_what_is_kept_and_none_for_what_is_not(writer: Writer, reader: Engine) -> None:
    put(writer, FULL)
    seen: dict[Key, ProxyRow | None] = {}

    def change(kept: Mapping[Key, ProxyRow | None]) -> Iterable[ProxyRow]:
        seen.update(kept)
        return [replace(row, ok=row.ok + 1) for row in kept.values() if row]

    other = (FULL.address, "http")
    assert [row.ok for row in change_proxies(writer, [FULL.key, other], change)] == [8]
    assert seen == {FULL.key: FULL, other: None}


def test_two_writers_changes_add_up(writer: Writer, reader: Engine) -> None:
    """The scanner and the checker both tell what they saw of one proxy."""
    put(writer, FULL)
    with Writer.open(writer._url, service="other", origin="practice", clock=writer.clock) as other:
        for each in (writer, other, writer):
            change_proxies(each, [FULL.key], lambda kept: [replace(row, ok=row.ok + 1) for row in kept.values() if row])
    assert read_proxies(reader)[0].ok == 10


def test_states_are_counted_and_chosen_the_last_good_one_first(writer: Writer, reader: Engine) -> None:
    put(
        writer,
        named("192.0.2.1:80", last_ok=NOON - HOUR),
        named("192.0.2.2:80"),
        named("192.0.2.3:80", last_ok=NOON),
        named("192.0.2.4:80", state="evicted"),
    )
    assert count_proxies(reader) == {"live": 3, "evicted": 1}
    assert [row.address[8] for row in read_proxies(reader, states=["live"])] == ["3", "1", "2"]


def test_the_negative_cache_holds_the_dead_for_their_time_and_the_banned_for_good(
    writer: Writer, reader: Engine
) -> None:
    put(
        writer,
        named("192.0.2.1:80", state="evicted", cool_until=NOON + HOUR),
        named("192.0.2.2:80", state="evicted", cool_until=NOON - HOUR),
        named("192.0.2.3:80", state="evicted", cool_until=NOON - HOUR, bad_certificate=True, exit_ip="198.51.100.7"),
        named("192.0.2.4:80", state="cooling", cool_until=NOON + HOUR),
    )
    assert read_refused(reader, now=NOON) == {("192.0.2.1:80", "http"), ("192.0.2.3:80", "http")}
    assert read_banned(reader) == ({"192.0.2.3"}, {"198.51.100.7"})
    assert forget_dead(writer, before=NOON) == 1
    assert [row.address[8] for row in read_proxies(reader)] == ["1", "3", "4"]


def test_those_of_one_host_or_one_exit_are_found(writer: Writer, reader: Engine) -> None:
    put(
        writer,
        named("192.0.2.1:80"),
        named("192.0.2.1:8080"),
        named("192.0.2.11:80"),
        named("192.0.2.2:80", exit_ip="198.51.100.7"),
    )
    found = keys_sharing(reader, hosts={"192.0.2.1"}, exits={"198.51.100.7"})
    assert {address for address, _ in found} == {"192.0.2.1:80", "192.0.2.1:8080", "192.0.2.2:80"}
    assert keys_sharing(reader, hosts=set(), exits=set()) == []


def test_a_thousand_are_changed_in_several_transactions(writer: Writer, reader: Engine) -> None:
    sizes = []

    def change(kept: Mapping[Key, ProxyRow | None]) -> list[ProxyRow]:
        sizes.append(len(kept))
        return [named(address) for address, _ in kept]

    keys = [(f"192.0.2.{number % 256}:{1000 + number}", "http") for number in range(1200)]
    change_proxies(writer, keys, change)
    assert (sizes, count_proxies(reader)["live"]) == ([500, 500, 200], 1200)


def test_a_list_comes_back_as_it_was_written(writer: Writer, reader: Engine) -> None:
    row = SourceRow(
        url="https://a/", fetched_at=NOON, candidates=5, live=2, gold=1, etag='"x"', entries=9, refused=4, fresh=3
    )
    write_sources(
        writer, [row, SourceRow(url="https://b/", last_error="status 404", fails_in_a_row=3, paused_until=NOON)]
    )
    assert read_sources(reader)[0] == row
    assert read_sources(reader)[1].paused_until == NOON
