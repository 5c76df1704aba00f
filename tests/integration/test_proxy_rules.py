"""The twenty rules of asking through strangers, one test each, in their order. Each is also tested where it is kept."""

from __future__ import annotations

import ast
import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields
from pathlib import Path

import pytest

from core.clock import SystemClock
from core.settings import Metrics, Settings
from daemon.plan import keeps_proxies
from market.quotes import Quote
from net.client import CROWD_BODY_BYTES, CrowdClient, NoAnswer
from net.tls import build_trust
from proxies import pool, states
from proxies.addresses import AddressFilter
from proxies.check import Checker
from proxies.files import Exporter
from proxies.formats.reading import read_list
from proxies.harvest import Fetched, Source, merged, parse_sources, sift
from proxies.model import CAUSES, Address, Member, Outcome
from proxies.own import read_own
from proxies.probe import BUDGET_S, Probe
from proxies.rotation import Rotation
from proxies.sources import Gatherer
from scanners.metrics.staging import Batch, Judge, Version
from simulator.testing import PracticeMarket
from storage.engine import open_reader_engine
from storage.writer import Writer
from tests.fix_proxies import LOOPBACK, added, tools_of
from tests.fix_storage import NOON
from yahoo.chart import Chart

ROOT = Path(__file__).parent.parent.parent
PRODUCT = ("core", "net", "yahoo", "proxies", "scanners")
YAHOO = "https://query1.finance.yahoo.com/v8/finance/chart/AAPL"
DIRECT = "192.0.2.1"
"""As the practice market sees this host itself."""


class NoOther:
    """Nothing to compare with."""

    async def chart(self, symbol: str, *, max_age_s: float) -> Chart | None:
        return None


def checker(client: CrowdClient, allowed: AddressFilter = LOOPBACK) -> Checker:
    return Checker(client, SystemClock(), refusal=allowed.refusal, reference=NoOther())


@asynccontextmanager
async def overheard() -> AsyncIterator[tuple[Address, list[bytes]]]:
    """A proxy that keeps what it is told and opens no tunnel."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(4096))
        writer.write(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield Address("http", "127.0.0.1", server.sockets[0].getsockname()[1]), heard


def trees(*parts: str) -> list[tuple[Path, ast.Module]]:
    files = [file for part in parts for file in (ROOT / part).rglob("*.py")]
    return [(file, ast.parse(file.read_text(encoding="utf-8"))) for file in files]


async def test_rule_1_only_https_is_asked_for(practice_market: PracticeMarket) -> None:
    proxy = added(practice_market, "good")
    async with CrowdClient(ca_path=practice_market.ca_file) as client:
        with pytest.raises(NoAnswer):
            await client.get(YAHOO.replace("https:", "http:"), proxy=proxy.url)
    assert practice_market.connections(proxy=proxy.text) == []


async def test_rule_2_verification_is_never_off(practice_market: PracticeMarket) -> None:
    for file, tree in trees(*PRODUCT):
        for node in ast.walk(tree):
            off = isinstance(node, ast.keyword) and node.arg in ("verify", "check_hostname")
            assert not (off and ast.unparse(node.value) == "False"), file  # type: ignore[attr-defined]
            assert not (isinstance(node, ast.Attribute) and node.attr in ("CERT_NONE", "_create_unverified_context")), (
                file
            )
    async with CrowdClient(ca_path=practice_market.ca_file) as client:
        assert (await checker(client).ask(added(practice_market, "own_certificate"))).cause == "bad_certificate"


async def test_rule_3_no_environment_sends_a_request_past_its_proxy(
    practice_market: PracticeMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = added(practice_market, "good")
    async with overheard() as (trap, heard):
        for names, text in (("NO_PROXY", "*"), ("HTTPS_PROXY ALL_PROXY HTTP_PROXY", trap.url)):
            for name in names.split():
                monkeypatch.setenv(name, text)
                monkeypatch.setenv(name.lower(), text)
            async with CrowdClient(ca_path=practice_market.ca_file) as client:
                assert (await checker(client).ask(proxy)).cause == "ok"
    asked = practice_market.requests()
    assert len(asked) == 2 and all(each.proxy == proxy.text for each in asked)
    assert heard == []


async def test_rule_4_no_redirect_is_followed(practice_market: PracticeMarket) -> None:
    async with CrowdClient(ca_path=practice_market.ca_file) as client:
        assert (await checker(client).ask(added(practice_market, "redirect"))).cause == "html"
    assert len(practice_market.requests()) == 1


async def test_rule_5_no_answer_is_unpacked_beyond_two_megabytes(practice_market: PracticeMarket) -> None:
    assert CROWD_BODY_BYTES == 2 * 1024 * 1024
    async with CrowdClient(ca_path=practice_market.ca_file) as client:
        assert (await checker(client).ask(added(practice_market, "bomb"))).cause == "too_big"


async def test_rule_6_who_says_nothing_or_drips_is_left_within_the_budget(practice_market: PracticeMarket) -> None:
    clock = SystemClock()
    assert BUDGET_S == 3.0
    async with CrowdClient(ca_path=practice_market.ca_file) as client:
        began_s = clock.monotonic_s()
        kinds = ("silent", "drip")
        with_client = [checker(client).ask(added(practice_market, kind)) for kind in kinds]
        bare = [Probe(refusal=LOOPBACK.refusal).ask(added(practice_market, kind)) for kind in kinds]
        checked, probed = await asyncio.gather(asyncio.gather(*with_client), asyncio.gather(*bare))
    assert [*(each.cause for each in checked), *(each.cause for each in probed)] == [
        "timeout",
        "timeout",
        "timeout",
        "reset",
    ]
    assert clock.monotonic_s() - began_s < 60.0


async def test_rule_7_an_address_that_is_refused_is_not_connected_to_even_late(practice_market: PracticeMarket) -> None:
    """Lists are filtered when they are read; what is in the pool since before a filter is refused all the same."""
    proxy, strict = added(practice_market, "good"), AddressFilter()
    async with CrowdClient(ca_path=practice_market.ca_file) as client:
        assert (await checker(client, strict).ask(proxy)).cause == "refused"
    assert (await Probe(refusal=strict.refusal).ask(proxy)).cause == "refused"
    assert practice_market.connections(proxy=proxy.text) == []


async def test_rule_8_a_proxy_hears_the_host_and_nothing_of_ours(practice_market: PracticeMarket) -> None:
    async with overheard() as (proxy, heard):
        async with CrowdClient(ca_path=practice_market.ca_file) as client:
            with pytest.raises(NoAnswer):
                await client.get(YAHOO, {"symbols": "AAPL"}, proxy=proxy.url, cookie="A3=secret")
        await Probe(refusal=LOOPBACK.refusal).ask(proxy)
    assert len(heard) == 2
    for words in heard:
        assert words.startswith(b"CONNECT query1.finance.yahoo.com:443 HTTP/1.1\r\n")
        lowered = words.lower()
        assert not any(each in lowered for each in (b"secret", b"cookie", b"authorization", b"aapl", b"chart", b"api"))
    own = read_own(["http://me:secret@192.0.2.7:8080"])
    (address,) = own.urls
    row = pool.row_of(Member(address=address, first_seen=NOON))
    assert not any("secret" in str(getattr(row, field.name)) for field in fields(row))


async def test_rule_9_the_exit_is_learned_over_tls_and_is_not_our_own(
    practice_market: PracticeMarket, tmp_path: Path
) -> None:
    async with tools_of(practice_market, tmp_path) as tools:
        liar = added(practice_market, "own_certificate")
        assert (await tools.promoter.ask(liar, taken=set())).exit_ip == ""
        mine = added(practice_market, "good", exit=DIRECT)
        assert (await tools.promoter.ask(mine, taken=set())).cause == "own_exit"


@pytest.mark.usefixtures("patient_crowd")
async def test_rule_10_only_the_asked_tickers_plausible_numbers_are_a_good_answer(
    practice_market: PracticeMarket,
) -> None:
    proxy = added(practice_market, "good", exit="198.18.70.1")
    for fault, cause in (
        ("html", "html"),
        ("captcha", "captcha"),
        ("wrong_ticker", "foreign"),
        ("truncate", "not_json"),
    ):
        number = practice_market.fault(fault, exit="198.18.70.1")
        async with CrowdClient(ca_path=practice_market.ca_file) as client:
            assert (await checker(client).ask(proxy)).cause == cause
        practice_market.clear(number=number)


@pytest.mark.usefixtures("patient_crowd")
async def test_rule_11_each_outcome_belongs_to_the_proxy_that_it_came_from(practice_market: PracticeMarket) -> None:
    expected = {"good": "ok", "captcha": "captcha", "limited": "yahoo_limit", "forbidden": "connect_denied"}
    fleet = {added(practice_market, kind): kind for _ in range(15) for kind in expected}
    async with CrowdClient(ca_path=practice_market.ca_file, max_clients=30) as client:
        found = await asyncio.gather(*(checker(client).ask(address) for address in fleet))
    wrong = [kind for kind, each in zip(fleet.values(), found, strict=True) if each.cause != expected[kind]]
    assert wrong == []


def test_rule_12_a_wrong_certificate_bans_its_host_and_exit_for_good(sqlite_file: Path) -> None:
    url, host = f"sqlite:///{sqlite_file}", "192.0.2.1"
    engine = open_reader_engine(url, service="test")
    both = [Address("http", host, 80), Address("http", host, 8080)]
    with Writer.open(url, service="test", origin=None, clock=SystemClock()) as writer:
        pool.add(writer, dict.fromkeys(both, "https://a/"), at=NOON)
        pool.record(writer, engine, [Outcome(address=both[0], cause="bad_certificate", at=NOON)])
    assert all(
        each.bad_certificate and states.woken(each, NOON.replace(year=2037)) == each for each in pool.load(engine)
    )
    engine.dispose()


def test_rule_13_an_exit_has_one_request_a_rest_and_a_fifth_of_the_batches() -> None:
    rotation = Rotation(rest_s=Metrics().rest_s)
    first, second = (
        Member(address=Address("http", "192.0.2.1", port), first_seen=NOON, state="live", exit_ip="198.18.0.1")
        for port in (80, 81)
    )
    rotation.hold([first, second], now=NOON, now_s=0.0)
    rotation.begin(5)
    began_s = []
    for tenth in range(300):
        now_s = tenth / 10
        member = rotation.pick(tried=(), now_s=now_s, waiting=5)
        if member is None:
            continue
        began_s.append(now_s)
        rotation.started(member, now_s=now_s)
        assert rotation.pick(tried=(), now_s=now_s, waiting=5) is None  # two addresses, one exit
        rotation.ended(member, "ok", now=NOON, now_s=now_s, latency_s=1.0)
    assert began_s == [0.0, 12.0, 24.0]
    rotation.ended(first, "ok", now=NOON, now_s=40.0, latency_s=1.0, brought=True)
    assert rotation.pick(tried=(), now_s=100.0, waiting=5) is None and not rotation.has_any()


def test_rule_14_what_one_exit_says_is_held_against_another_source() -> None:
    quotes = {each: Quote(ticker=each, previous_close=10.0) for each in ("A", "B", "C")}
    rulings = []
    for others in ((), ("b",), ("b", "c"), ("direct",)):
        judge = Judge(trusted={"direct"}, rng=random.Random(1))
        testimonies = [Version(each, {ticker: quotes[ticker] for ticker in ("A", "B")}) for each in others]
        batch = Batch(tuple(quotes), versions=[Version("a", quotes)], testimonies=testimonies)
        rulings.append(judge.judge(batch).ruling)
    assert rulings == ["witness", "witness", "accepted", "accepted"]


def test_rule_15_the_file_is_renamed_into_place_and_never_emptied(tmp_path: Path) -> None:
    file, good = (
        tmp_path / "http_proxies.txt",
        Member(address=Address("http", "9.9.9.9", 80), first_seen=NOON, state="live"),
    )
    Exporter(file).write([good], now=NOON)
    before, text = file.stat().st_ino, file.read_text()
    Exporter(file).write([], now=NOON.replace(hour=20))
    assert (file.stat().st_ino, file.read_text()) == (before, text)
    Exporter(file).write([good], now=NOON.replace(hour=20))
    assert file.stat().st_ino != before


def test_rule_16_nothing_of_the_pool_listens() -> None:
    calls = {"start_server", "create_server", "start_unix_server", "listen", "bind"}
    for file, tree in trees("proxies", "net"):
        names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not names & calls, file


def test_rule_17_what_strangers_send_is_data() -> None:
    wrong = {"eval", "exec", "pickle", "yaml", "marshal", "shelve", "subprocess", "__import__"}
    for file, tree in trees("proxies"):
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert not (names | imported) & wrong, file


async def test_rule_18_no_list_can_flood_us(practice_market: PracticeMarket, tmp_path: Path) -> None:
    """In bytes, in lines, in candidates; and one line is one address, never a network of 65,534."""
    practice_market.fault("bomb", host="api.redscrape.com")
    gatherer = Gatherer(
        trust=build_trust(ca_file=str(practice_market.ca_file), state_dir=tmp_path),
        proxy=practice_market.proxy_url,
        clock=SystemClock(),
        addresses=LOOPBACK,
        etags={},
    )
    urls = ["https://api.redscrape.com/proxies.json", "https://free-proxy-list.net/"]
    done = await gatherer.gather(parse_sources(urls), lambda _progress: None)
    assert [(each.outcome, each.error) for each in done.yields] == [("failed", "more than 5,242,880 bytes"), ("ok", "")]

    listed = read_list(b"".join(b"9.%d.%d.%d:80\n" % (n >> 16, n >> 8 & 255, n & 255) for n in range(60_000)))
    assert (len(listed.entries), listed.cut) == (50_000, True)
    assert read_list(b"9.9.0.0/16\n9.9.0.0/16:80\n9.9.9.9-9.9.9.99:80\nproxy.example:80\n").entries == []
    listed.entries = listed.entries[:500]
    sifted = [
        sift(each, Source(url=url), addresses=LOOPBACK, refused=())
        for each, url in zip((listed, read_list(b"8.8.8.8:80")), urls, strict=True)
    ]
    harvest = merged(
        [Fetched(source=Source(url=url), outcome="ok", sifted=each) for url, each in zip(urls, sifted, strict=True)],
        limit=100,
    )
    assert len(harvest.candidates) == 100
    assert Address("http", "8.8.8.8", 80) in harvest.candidates


def test_rule_19_there_is_a_switch_to_do_without_proxies() -> None:
    assert not keeps_proxies(Settings(metrics=Metrics(direct="only")), proxy_file=True)


def test_rule_20_an_error_that_is_kept_is_one_of_our_own_words() -> None:
    member = Member(address=Address("http", "192.0.2.1", 80), first_seen=NOON)
    for cause in CAUSES - {"ok"}:
        error = states.after(member, cause, now=NOON).last_error  # type: ignore[arg-type]
        assert error in CAUSES and len(error or "") <= 200 and (error or "").isprintable()
    assert os.sep not in "".join(CAUSES)
