from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from proxies.addresses import AddressFilter
from proxies.formats.entries import Entry, Listed
from proxies.harvest import Fetched, Sifted, Source, SourceYield, merged, parse_sources, printable, row_after, sift
from proxies.model import Address
from storage.proxies import SourceRow
from tests.fix_storage import NOON

A, B, C = (Address("http", f"8.8.8.{last}", 80) for last in (1, 2, 3))
URL = "https://lists.example/list"


def fetched(name: str, *accepted: Address, **reasons: int) -> Fetched:
    refused = Counter(reasons)
    entries = len(accepted) + sum(count for reason, count in refused.items() if reason != "junk")
    sifted = Sifted(shape="text", accepted=accepted, refused=refused, entries=entries, cut=False)
    return Fetched(source=Source(url=name), outcome="ok", sifted=sifted)


def done(outcome: Any = "ok", **values: Any) -> SourceYield:
    return SourceYield(url=URL, outcome=outcome, **values)


@pytest.mark.parametrize(
    ("text", "source"),
    [
        (URL, Source(url=URL)),
        (f"json {URL}", Source(url=URL, format="json")),
        (f"socks5 {URL}", Source(url=URL, protocol="socks5")),
        (f"csv socks4 {URL}", Source(url=URL, format="csv", protocol="socks4")),
        ("https://a.example/SOCKS5.txt", Source(url="https://a.example/SOCKS5.txt", protocol="socks5")),
        ("https://a.example/?protocol=socks4", Source(url="https://a.example/?protocol=socks4", protocol="socks4")),
        ("http https://a.example/socks4.txt", Source(url="https://a.example/socks4.txt")),
        ("https://a.example/socks4-and-socks5", Source(url="https://a.example/socks4-and-socks5")),
    ],
)
def test_a_source_says_what_it_is_before_its_address_or_in_it(text: str, source: Source) -> None:
    assert parse_sources([text]) == [source]


def test_a_source_that_stands_twice_is_asked_once() -> None:
    assert len(parse_sources([URL, f"json {URL}", f"{URL}2"])) == 2


def test_a_list_is_sifted_and_each_refusal_counted_by_its_reason() -> None:
    entries = [
        Entry("8.8.8.1", 80),
        Entry("8.8.8.1", 80, ("http",)),
        Entry("8.8.8.1", 80, ("socks4", "socks5")),
        Entry("127.0.0.7", 80),
        Entry("192.0.2.1", 80),
        Entry("104.16.0.1", 80),
        Entry("8.8.8.2", 22),
        Entry("8.8.8.3", 80),
        Entry("8.8.4.4", 80),
    ]
    listed = Listed(shape="csv", entries=entries, refused=Counter(junk=3, bad_port=1), cut=True)
    addresses = AddressFilter(edges=["104.16.0.0/13"], own_addresses=["8.8.4.4"])
    sifted = sift(listed, Source(url=URL), addresses=addresses, refused={("8.8.8.3:80", "http")})
    assert sifted.accepted == (A, Address("socks4", "8.8.8.1", 80), Address("socks5", "8.8.8.1", 80))
    assert sifted.refused == {
        **{"repeated": 1, "private": 1, "reserved": 1, "cdn": 1, "service_port": 1},
        **{"known_bad": 1, "own": 1, "junk": 3, "bad_port": 1},
    }
    assert (sifted.entries, sifted.shape, sifted.cut) == (11, "csv", True)


def test_bare_addresses_speak_what_their_source_says() -> None:
    listed = Listed(shape="text", entries=[Entry("8.8.8.1", 80), Entry("8.8.8.2", 80, ("http",))])
    sifted = sift(listed, Source(url=URL, protocol="socks5"), addresses=AddressFilter(), refused=())
    assert sifted.accepted == (Address("socks5", "8.8.8.1", 80), B)


def test_each_candidate_comes_once_with_every_list_that_named_it() -> None:
    harvest = merged(
        [
            fetched("one", A, B, junk=2),
            fetched("two", B, C, cdn=5),
            Fetched(source=Source(url="three"), outcome="failed", error="status 404"),
        ]
    )
    assert harvest.candidates == {A: "one", B: "one two", C: "two"}
    one, two, three = harvest.yields
    assert (one.entries, one.candidates, one.fresh, one.refused) == (2, 2, 2, {"junk": 2})
    assert (two.entries, two.candidates, two.fresh, two.refused) == (7, 2, 1, {"cdn": 5})
    assert (three.outcome, three.error, three.candidates) == ("failed", "status 404", 0)


def test_over_the_limit_a_long_list_crowds_out_no_short_one() -> None:
    flood = [Address("http", f"9.9.{number // 256}.{number % 256}", 80) for number in range(1000)]
    harvest = merged([fetched("flood", *flood), fetched("small", A, B)], limit=10)
    assert len(harvest.candidates) == 10
    assert {A, B} <= set(harvest.candidates)
    assert harvest.yields[0].refused == {"over_limit": 992}
    assert harvest.yields[1].refused == {}


def test_nothing_at_all_is_a_round_too() -> None:
    assert merged([]).candidates == {}


def test_a_good_round_is_kept_and_ends_a_pause() -> None:
    before = SourceRow(url=URL, live=3, gold=2, last_error="x", fails_in_a_row=4, paused_until=NOON)
    row = row_after(before, done(entries=10, candidates=6, fresh=4, etag='"a"'), at=NOON)
    assert row == SourceRow(
        url=URL, fetched_at=NOON, entries=10, refused=4, candidates=6, fresh=4, etag='"a"', live=3, gold=2
    )


def test_an_unchanged_list_keeps_its_counts() -> None:
    before = SourceRow(url=URL, entries=10, candidates=6, etag='"a"', last_error="x", fails_in_a_row=1)
    row = row_after(before, done("unchanged"), at=NOON)
    assert row == SourceRow(url=URL, fetched_at=NOON, entries=10, candidates=6, etag='"a"')


def test_a_list_that_fails_on_and_on_is_asked_ever_less_often_up_to_once_a_day() -> None:
    row, pauses_h = None, []
    for _ in range(30):
        row = row_after(row, done("failed", error="status 500"), at=NOON)
        pauses_h.append((row.paused_until - NOON) / timedelta(hours=1) if row.paused_until else 0)
    assert row is not None
    assert (row.last_error, row.fails_in_a_row, row.fetched_at) == ("status 500", 30, None)
    assert pauses_h[:9] == [0, 0, 1, 2, 4, 8, 16, 24, 24]
    assert pauses_h[-1] == 24


def test_a_strangers_words_become_one_short_printable_line() -> None:
    assert printable("a\x1b[31m b\r\n\tc\x00\u202e") == "a [31m b c"
    assert len(printable("x" * 10_000)) == 200
    assert printable("") == ""
