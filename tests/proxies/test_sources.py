import asyncio
import gzip
import socket
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme
from sqlalchemy import Engine

from core.clock import SystemClock
from core.progress import Progress
from net.client import Answer
from net.tls import Trust, build_trust
from proxies import pool, sources
from proxies.addresses import AddressFilter
from proxies.harvest import Harvest, Source, SourceYield, parse_sources
from proxies.model import Address, Cause, Outcome
from proxies.sources import Gatherer, keep, refusal
from simulator.testing import PracticeMarket
from storage.engine import open_reader_engine
from storage.proxies import read_proxies, read_sources
from storage.writer import Writer
from tests.fix_storage import NOON, StillClock
from tests.fix_tls import Handler, reply, upstream

HOST = "lists.example.net"
MEGABYTE = 1 << 20
ADDRESSES = AddressFilter(own_networks=["127.0.0.0/8"])
LIST = b"8.8.8.8:80\n9.9.9.9:3128\n127.0.0.1:6379\n"
ELSEWHERE = "leads elsewhere, where nobody follows; give the address where it is now"
RAW = "https://raw.githubusercontent.com"
PUBLIC = (
    f"{RAW}/monosans/proxy-list/main/proxies/all.txt",
    f"{RAW}/monosans/proxy-list/main/proxies.json",
    f"{RAW}/TheSpeedX/PROXY-List/master/http.txt",
    "https://api.proxyscrape.com/v2/?request=getproxies",
    "https://api.redscrape.com/proxies.json",
    "https://api.practice-proxies.test/wrapped.json",
    "https://proxylist.geonode.com/api/proxy-list?limit=500",
    "https://free-proxy-list.net/",
)


def gatherer(trust: Trust, proxy: str, etags: Mapping[str, str] | None = None) -> Gatherer:
    return Gatherer(trust=trust, proxy=proxy, clock=SystemClock(), addresses=ADDRESSES, etags=etags or {})


async def from_market(market: PracticeMarket, folder: Path, urls: tuple[str, ...] = PUBLIC) -> Harvest:
    trust = build_trust(ca_file=str(market.ca_file), state_dir=folder)
    return await gatherer(trust, market.proxy_url).gather(parse_sources(urls), lambda _progress: None)


async def asked(
    authority: trustme.CA, trust: Trust, handler: Handler, *paths: str, etags: Mapping[str, str] | None = None
) -> dict[str, SourceYield]:
    """Return path -> how its list did, of a host that answers by `handler`."""
    async with upstream(authority, handler, host=HOST) as running:
        urls = [Source(url=f"https://{HOST}{path}") for path in paths]
        harvest = await gatherer(trust, running.url, etags).gather(urls, lambda _progress: None)
    return {urlsplit(each.url).path: each for each in harvest.yields}


@pytest.fixture
def reader(sqlite_file: Path) -> Iterator[Engine]:
    engine = open_reader_engine(f"sqlite:///{sqlite_file}", service="test")
    yield engine
    engine.dispose()


async def test_every_published_shape_brings_the_fleet_and_nothing_that_is_refused(
    practice_market: PracticeMarket, tmp_path: Path
) -> None:
    practice_market.add_proxies("good", 3)
    practice_market.add_proxies("good", 2, protocol="socks4a")
    practice_market.add_proxies("good", 1, protocol="socks5")
    harvest = await from_market(practice_market, tmp_path)
    assert [each.outcome for each in harvest.yields] == ["ok"] * 8
    assert [each.shape for each in harvest.yields] == ["text", "json", "text", "text", "text", "json", "json", "html"]
    protocols = {"http": "http", "socks4a": "socks4", "socks5": "socks5"}
    fleet = {f"{protocols[each.protocol]} {each.address}" for each in practice_market.proxies()}
    bogus = {"http 127.0.0.7:80"}  # it lies in our own network
    assert {f"{address.protocol} {address.text}" for address in harvest.candidates} == fleet | bogus
    dead = [each.refused["reserved"] for each in harvest.yields]
    assert dead == [30, 30, 11, 10, 10, 10, 30, 10]


async def test_one_list_after_the_other_fails_and_the_rest_goes_on(
    practice_market: PracticeMarket, tmp_path: Path
) -> None:
    practice_market.add_proxies("good", 2)
    for name, host in (
        ("bomb", "api.proxyscrape.com"),
        ("captcha", "api.redscrape.com"),
        ("redirect", "api.practice-proxies.test"),
        ("server_error", "proxylist.geonode.com"),
        ("html", "free-proxy-list.net"),
    ):
        practice_market.fault(name, host=host)
    harvest = await from_market(practice_market, tmp_path)
    errors = {urlsplit(each.url).hostname: each.error for each in harvest.yields if each.outcome == "failed"}
    assert errors == {
        "api.proxyscrape.com": "more than 5,242,880 bytes",
        "api.redscrape.com": "holds no address (html)",
        "api.practice-proxies.test": f"status 302: {ELSEWHERE}",
        "proxylist.geonode.com": "status 503",
        "free-proxy-list.net": "holds no address (html)",
    }
    assert [each.outcome for each in harvest.yields[:3]] == ["ok"] * 3
    assert len(harvest.candidates) == 3


async def test_a_list_that_never_ends_holds_up_no_other(practice_market: PracticeMarket, tmp_path: Path) -> None:
    practice_market.fault("slow_body", path="/api/proxy-list", bytes_per_s=1)
    others_done = asyncio.Event()
    trust = build_trust(ca_file=str(practice_market.ca_file), state_dir=tmp_path)

    def report(progress: Progress) -> None:
        if progress.done == len(PUBLIC) - 1:
            others_done.set()

    gathering = gatherer(trust, practice_market.proxy_url).gather(parse_sources(PUBLIC), report)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(gathering)
        await others_done.wait()
        assert not task.done()
        task.cancel()


async def test_a_list_that_never_ends_is_given_up(
    practice_market: PracticeMarket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "TOTAL_S", 0.3)
    practice_market.fault("slow_body", path="/v2/", bytes_per_s=1)
    (given_up,) = (await from_market(practice_market, tmp_path, PUBLIC[3:4])).yields
    assert (given_up.outcome, given_up.error) == ("failed", "no end within 0.3 s")


async def test_progress_counts_every_list_also_one_that_fails(practice_market: PracticeMarket, tmp_path: Path) -> None:
    seen: list[Progress] = []
    trust = build_trust(ca_file=str(practice_market.ca_file), state_dir=tmp_path)
    practice_market.fault("server_error", path="/v2/")
    await gatherer(trust, practice_market.proxy_url).gather(parse_sources(PUBLIC[:4]), seen.append)
    assert [(each.stage, each.done, each.total) for each in seen] == [("lists", done, 4) for done in range(5)]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (reply(200, b" \r\n"), "is empty"),
        (reply(200, b"a" * (10 * MEGABYTE)), "more than 5,242,880 bytes"),
        (
            reply(200, gzip.compress(b"8.8.8.8:80\n" * MEGABYTE), {"content-encoding": "gzip"}),
            "more than 5,242,880 bytes",
        ),
        (b"HTTP/1.1 200 Said\r\nconnection: close\r\n\r\n" + b"8.8.8.8:80\n" * MEGABYTE, "more than 5,242,880 bytes"),
        (reply(200, b"\x1b[2J\x07" * 1000), "holds no address (text)"),
        (reply(404, b"8.8.8.8:80\n"), "status 404"),
        (reply(304), f"status 304: {ELSEWHERE}"),
        (reply(301, b"8.8.8.8:80", {"location": "https://127.0.0.1/"}), "status 301: leads elsewhere, where nobody"),
        (b"HTTP/1.1 200 Said\r\n" + b"x-more: and more\r\n" * 100_000, "headers"),
        (b"\x1b[31mnonsense\r\n\r\n", "HTTP/0.9"),
    ],
)
async def test_what_is_no_list_is_named_and_harms_no_other(
    practice_authority: trustme.CA, practice_trust: Trust, answer: bytes, error: str
) -> None:
    def handler(head: str) -> bytes:
        return answer if "GET /bad " in head else reply(200, LIST)

    done = await asked(practice_authority, practice_trust, handler, "/bad", "/good")
    assert done["/bad"].outcome == "failed"
    assert error.lower() in done["/bad"].error.lower()
    assert done["/bad"].error.isprintable()
    assert (done["/good"].candidates, done["/good"].refused) == (2, {"service_port": 1})


async def test_a_list_that_has_not_changed_is_not_sent_again(
    practice_authority: trustme.CA, practice_trust: Trust
) -> None:
    def handler(head: str) -> bytes:
        return reply(304) if 'if-none-match: "7"' in head.lower() else reply(200, LIST, {"etag": '"8"'})

    etags = {f"https://{HOST}/old": '"7"', f"https://{HOST}/new": '"6"'}
    done = await asked(practice_authority, practice_trust, handler, "/old", "/new", "/first", etags=etags)
    assert {path: (each.outcome, each.etag) for path, each in done.items()} == {
        "/old": ("unchanged", ""),
        "/new": ("ok", '"8"'),
        "/first": ("ok", '"8"'),
    }


async def test_a_tag_that_is_too_long_is_not_kept(practice_authority: trustme.CA, practice_trust: Trust) -> None:
    answer = reply(200, LIST, {"etag": '"' + "x" * 300 + '"'})
    done = await asked(practice_authority, practice_trust, lambda _head: answer, "/list")
    assert (done["/list"].outcome, done["/list"].etag) == ("ok", "")


async def test_a_list_behind_a_wrong_certificate_is_not_read(
    other_authority: trustme.CA, practice_trust: Trust
) -> None:
    done = await asked(other_authority, practice_trust, lambda _head: reply(200, LIST), "/list")
    assert done["/list"].outcome == "failed"
    assert "certificate" in done["/list"].error


async def test_nobody_is_asked_but_the_host_of_the_list(practice_authority: trustme.CA, practice_trust: Trust) -> None:
    with socket.create_server(("127.0.0.1", 0)) as inside:
        inside.setblocking(False)
        port = inside.getsockname()[1]
        poison = f"127.0.0.1:{port}\nhttp://127.0.0.1:{port}\n<a href='http://127.0.0.1:{port}/'>".encode()
        moved = reply(302, poison, {"location": f"http://127.0.0.1:{port}/"})
        await asked(
            practice_authority,
            practice_trust,
            lambda head: moved if "/moved" in head else reply(200, poison),
            "/moved",
            "/list",
        )
        with pytest.raises(BlockingIOError):
            inside.accept()


def test_why_an_answer_is_no_list() -> None:
    assert refusal(Answer(status=500, headers={}, body=b"")) == "status 500"


async def test_what_was_found_reaches_the_pool_and_each_list_its_row(sqlite_file: Path, reader: Engine) -> None:
    candidates = {
        Address("http", "8.8.8.8", 80): "https://a/ https://b/",
        Address("socks5", "9.9.9.9", 1080): "https://b/",
    }
    yields = [
        SourceYield(url="https://a/", outcome="ok", entries=5, candidates=1, fresh=1, etag='"1"'),
        SourceYield(url="https://b/", outcome="ok", entries=2, candidates=2, fresh=1),
        SourceYield(url="https://c/", outcome="failed", error="status 404"),
    ]
    harvest = Harvest(candidates=candidates, yields=yields)
    clock = StillClock()
    with Writer.open(f"sqlite:///{sqlite_file}", service="test", origin=None, clock=clock) as writer:
        first = keep(writer, reader, harvest, at=NOON, is_own=ADDRESSES.is_own)
        second = keep(writer, reader, harvest, at=NOON, is_own=ADDRESSES.is_own)
    assert (first.new, first.known) == (2, 0)
    assert (second.new, second.known) == (0, 2)
    assert {(row.address, row.protocol, row.state) for row in read_proxies(reader)} == {
        ("8.8.8.8:80", "http", "candidate"),
        ("9.9.9.9:1080", "socks5", "candidate"),
    }
    rows = {row.url: row for row in read_sources(reader)}
    assert (rows["https://a/"].entries, rows["https://a/"].refused, rows["https://a/"].etag) == (5, 4, '"1"')
    assert (rows["https://c/"].last_error, rows["https://c/"].fails_in_a_row) == ("status 404", 2)


def outcome(address: Address, cause: Cause, at: datetime) -> Outcome:
    return Outcome(address=address, cause=cause, at=at)


async def test_of_a_list_that_was_not_sent_those_may_be_tried_again_whose_time_is_over(
    sqlite_file: Path, reader: Engine
) -> None:
    here, elsewhere, alive = (Address("http", f"8.8.8.{last}", 80) for last in (1, 2, 3))
    found = {here: "https://a/ https://b/", elsewhere: "https://b/", alive: "https://a/"}
    first = Harvest(candidates=found, yields=[])
    unchanged = Harvest(candidates={}, yields=[SourceYield(url="https://a/", outcome="unchanged")])
    with Writer.open(f"sqlite:///{sqlite_file}", service="test", origin=None, clock=StillClock()) as writer:
        keep(writer, reader, first, at=NOON, is_own=ADDRESSES.is_own)
        pool.record(writer, reader, [outcome(here, "needs_password", NOON), outcome(elsewhere, "needs_password", NOON)])
        too_early = keep(writer, reader, unchanged, at=NOON + timedelta(hours=1), is_own=ADDRESSES.is_own)
        in_time = keep(writer, reader, unchanged, at=NOON + timedelta(hours=25), is_own=ADDRESSES.is_own)
    assert (too_early.again, in_time.again, in_time.new) == (0, 1, 0)
    states = {member.address: member.state for member in pool.load(reader)}
    assert states == {here: "candidate", elsewhere: "evicted", alive: "candidate"}


@pytest.mark.parametrize(("ip", "new"), [("8.8.8.8", 0), ("127.0.0.1", 1)])
async def test_a_wrong_certificate_bans_a_strangers_whole_host_but_not_ours(
    sqlite_file: Path, reader: Engine, ip: str, new: int
) -> None:
    one, other = Address("http", ip, 8080), Address("http", ip, 8081)
    with Writer.open(f"sqlite:///{sqlite_file}", service="test", origin=None, clock=StillClock()) as writer:
        keep(writer, reader, Harvest(candidates={one: "x"}, yields=[]), at=NOON, is_own=ADDRESSES.is_own)
        pool.record(writer, reader, [outcome(one, "bad_certificate", NOON)], is_own=ADDRESSES.is_own)
        again = keep(writer, reader, Harvest(candidates={other: "x"}, yields=[]), at=NOON, is_own=ADDRESSES.is_own)
    assert again.new == new
